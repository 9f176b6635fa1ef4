import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from raycal.dry_run.prices import Offer, offers, own_price
from raycal.dry_run.rates import GPU_GFLOPS
from raycal.errors import InputError

CLUSTERS = Path(__file__).parents[2] / "cluster_configs"


def gpu_machine(cloud: str) -> tuple[str, str]:
    """The machine type of the workers in a cluster config, and its region."""
    config = yaml.safe_load((CLUSTERS / f"{cloud}.yaml").read_text())
    node = config["available_node_types"]["gpu"]["node_config"]
    machine = node.get("InstanceType") or node.get("machineType") or node["azure_arm_parameters"]["vmSize"]
    return machine, config["provider"].get("region") or config["provider"]["location"]


def test_table_has_the_workers_of_every_cloud_file_and_no_other() -> None:
    table = {offer.cloud: (offer.machine, offer.region) for offer in offers()}

    assert len(offers()) == 3
    assert table == {cloud: gpu_machine(cloud) for cloud in ("aws", "azure", "gcp")}


@pytest.mark.parametrize("offer", offers(), ids=lambda offer: offer.machine)
def test_row_is_whole(offer: Offer) -> None:
    assert 0 < offer.spot < offer.on_demand
    assert offer.gpus == 1
    assert offer.gpu in GPU_GFLOPS
    assert re.fullmatch(r"(not )?verified on 20\d\d-\d\d-\d\d", offer.checked)
    assert urlsplit(offer.source).scheme == "https"


@pytest.mark.parametrize("offer", offers(), ids=lambda offer: offer.machine)
def test_price_on_demand_is_that_of_the_header(offer: Offer) -> None:
    text = (CLUSTERS / f"{offer.cloud}.yaml").read_text()

    assert re.search(rf"{offer.machine} \(one {offer.gpu}\)[\s#]+{offer.on_demand} \$/h", text)
    assert offer.source in text


def test_table_is_installed_with_the_package() -> None:
    pyproject = (CLUSTERS.parent / "pyproject.toml").read_text()

    assert re.search(r'^"raycal\.dry_run" = \["prices\.csv"\]$', pyproject, re.MULTILINE)


@pytest.mark.parametrize(("text", "price"), [("2.5", 2.5), ("0", 0.0), ("1e1", 10.0)])
def test_own_price(text: str, price: float) -> None:
    assert own_price(text) == price


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "-inf", "", "2,5", "2.5 USD"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        own_price(text)
    assert caught.value.problems == (f"--price {text}: should be USD per GPU hour, 0 or more, such as 2.5, or clouds",)
