"""A manifest and its images in a bucket of a real S3 server."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raycal.data import ImageDataset, datasets
from raycal.errors import InputError

pytestmark = pytest.mark.slow

NUM_IMAGES = 10


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a server with the empty bucket `bucket`, which the environment names."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    yield client
    server.stop()


def pixels(number: int) -> np.ndarray:
    return np.full((8, 8, 3), 20 * number, np.uint8)


def upload(bucket: Any, table: str, paths: list[str]) -> None:
    """Upload images, and a table that lists these paths."""
    for number in range(NUM_IMAGES):
        content = io.BytesIO()
        Image.fromarray(pixels(number)).save(content, "PNG")
        bucket.put_object(Bucket="bucket", Key=f"birds/images/{number}.png", Body=content.getvalue())
    rows = [f"{path},{'crow' if number % 2 else 'jay'}" for number, path in enumerate(paths)]
    bucket.put_object(Bucket="bucket", Key=table, Body="\n".join(["image,species", *rows]).encode())


def load(**options: Any) -> ImageDataset:
    made = datasets["manifest"](seed=0, image_size=32, path="image", label="species", **options).load()
    assert isinstance(made, ImageDataset)
    return made


@pytest.mark.parametrize("prefix", ["images/", "s3://bucket/birds/images/"], ids=["relative", "URI"])
def test_table_and_images_are_read_from_a_bucket(bucket: Any, prefix: str) -> None:
    upload(bucket, "birds/list.csv", [f"{prefix}{number}.png" for number in range(NUM_IMAGES)])

    loaded = load(file="s3://bucket/birds/list.csv")

    assert loaded.class_names == ("crow", "jay")
    for number in range(NUM_IMAGES):
        assert np.array_equal(loaded.images[number], pixels(number))
        assert loaded.class_names[loaded.labels[number]] == ("crow" if number % 2 else "jay")


def test_missing_objects_are_named(bucket: Any) -> None:
    upload(bucket, "birds/list.csv", ["images/0.png", "images/none.png"])

    with pytest.raises(
        InputError, match=r"^s3://bucket/birds/list\.csv: s3://bucket/birds/images/none\.png: .*no such"
    ):
        load(file="s3://bucket/birds/list.csv")
    with pytest.raises(InputError, match=r"^s3://bucket/none\.csv: no such file; give a CSV or Parquet file$"):
        load(file="s3://bucket/none.csv")
