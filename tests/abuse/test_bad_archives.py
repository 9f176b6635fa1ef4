"""Archives that have the names torchvision expects, but are not the published archives. torchvision would unpack
them."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
from refusal import Refuse, expect


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)


def tar_with(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def zip_with(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


TARS: dict[str, Callable[[], bytes]] = {
    "up a folder": lambda: tar_with((tarfile.TarInfo("../../evil"), b"x")),
    "absolute": lambda: tar_with((tarfile.TarInfo("/tmp/raycal-evil"), b"x")),
    "through a link": lambda: tar_with(
        (link("cifar-10-batches-py", "../.."), b""), (tarfile.TarInfo("cifar-10-batches-py/evil"), b"x")
    ),
    "a bomb": lambda: tar_with((tarfile.TarInfo("cifar-10-batches-py/data_batch_1"), bytes(1 << 26))),
    "empty": lambda: b"",
    "text": lambda: b"hello",
}
ZIPS = {
    "up a folder": lambda: zip_with("../../evil", b"x"),
    "a bomb": lambda: zip_with("2750/Forest/Forest_1.jpg", bytes(1 << 26)),
    "empty": lambda: b"",
    "text": lambda: b"hello",
}
WRONG = "is there, but its checksum is wrong, so it was not unpacked); put https://"


@pytest.mark.parametrize("case", TARS)
def test_archive_of_cifar10_is_not_unpacked(place: Path, refuse: Refuse, case: str) -> None:
    archive = place / "deep" / "below" / "cifar-10-python.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(TARS[case]())
    (archive.parent / ".cifar10.lock").touch()

    expect(refuse("--set", "dataset={name: cifar10, root: deep/below}"), f"PLACE/deep/below/{archive.name} {WRONG}")
    assert not Path("/tmp/raycal-evil").exists()


@pytest.mark.parametrize("case", ZIPS)
def test_archive_of_eurosat_is_not_unpacked(place: Path, refuse: Refuse, case: str) -> None:
    archive = place / "deep" / "below" / "eurosat" / "EuroSAT.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(ZIPS[case]())
    (archive.parents[1] / ".eurosat.lock").touch()

    expect(
        refuse("--set", "dataset={name: eurosat, root: deep/below}"), f"PLACE/deep/below/eurosat/{archive.name} {WRONG}"
    )


@pytest.mark.parametrize("content", [b"", b"\x80\x04."], ids=["empty", "a pickle"])
def test_batches_of_cifar10_with_another_checksum_are_not_unpickled(
    place: Path, refuse: Refuse, content: bytes
) -> None:
    folder = place / "cifar" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(content)

    expect(
        refuse("--set", "dataset={name: cifar10, root: cifar, download: false}"),
        "cifar10: PLACE/cifar/cifar-10-batches-py: a file is missing or has a wrong checksum",
    )
