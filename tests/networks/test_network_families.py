"""A family offers all networks of a package by names with a slash, and its package is imported only for such names."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from torch import nn

from raycal import testing
from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.experiment import build
from raycal.networks import NetworkFacts, networks
from raycal.networks.registry import Builder

asked: list[str] = []


@pytest.fixture(autouse=True)
def own_family() -> Iterator[None]:
    asked.clear()

    @networks.family("wide")
    def wide(rest: str) -> tuple[Builder, NetworkFacts]:
        asked.append(rest)
        if not rest.isdigit():
            raise InputError(f"no such network (did you mean 'wide/{len(rest)}'?)")

        def of_this_width(num_classes: int, *, dropped: float = 0.0) -> nn.Module:
            body = nn.Sequential(nn.Conv2d(3, int(rest), 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropped))
            return nn.Sequential(body, nn.Linear(int(rest), num_classes))

        return of_this_width, NetworkFacts(gflop=lambda side: 0.00133 * int(rest) * side / 224)

    yield
    networks.forget("wide/")


def config(model: Any, **settings: Any) -> ExperimentConfig:
    given = {"dataset": {"name": "digits", "train_size": 20, "test_size": 10}, "scenario": "random", "model": model}
    training = {"epochs": 1, "image_size": 32, "batch_size": 4}
    return ExperimentConfig.model_validate(given | {"training": training} | settings, context=build.REGISTRIES)


def problem(model: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config(model)
    (error,) = caught.value.errors()
    return str(error["msg"])


def test_member_of_a_family_is_a_network_like_any_other() -> None:
    assert "wide/7" in networks
    assert networks["wide/7"](3)[1].in_features == 7
    assert networks.facts("wide/7").cost(224) == pytest.approx(0.00931)
    assert networks.facts("wide/7").cost(448) == pytest.approx(0.01862)
    assert list(networks.options("wide/7")) == ["dropped"]
    testing.check_network("wide/7")
    assert asked == ["7"]  # the family is asked once


def test_names_of_a_family_are_not_listed_among_the_networks() -> None:
    assert "wide/7" in networks
    assert not [name for name in networks if "/" in name]
    assert {"timm/", "wide/", "resnet18"} <= set(networks.registered())


def test_options_of_a_member_are_filled_in_and_part_of_the_identity() -> None:
    plain = config({"name": "wide/7", "weights": "none"})

    assert plain.model.options == {"dropped": 0.0}
    assert config({"name": "wide/7", "weights": "none", "dropped": 0.5}).experiment_id != plain.experiment_id
    assert config({"name": "wide/8", "weights": "none"}).experiment_id != plain.experiment_id


def test_id_has_no_slash_of_the_network() -> None:
    assert "/" not in config({"name": "wide/7", "weights": "none"}).experiment_id


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wide/seven", "no such network (did you mean 'wide/5'?)"),
        ("wode/7", "no such network (did you mean 'wide/7'?)"),
        ("timm/resnet5O", "no such network (did you mean 'timm/resnet50'?)"),
        ("timm/resnet50.a1_in1", "no such network (did you mean 'timm/resnet50.a1_in1k'?)"),
    ],
)
def test_unknown_name_is_refused_with_a_hint(name: str, words: str) -> None:
    assert problem({"name": name, "weights": "none"}) == words


def test_name_that_is_like_no_other_is_refused_with_the_families() -> None:
    families = ", ".join(f"{family}/..." for family in networks.families())
    assert "sentence-transformers/..., timm/..., wide/..." in families
    assert problem({"name": "zzzz/7", "weights": "none"}) == f"no such network (names with a slash are: {families})"


def test_hint_for_a_name_without_a_slash_names_the_families() -> None:
    assert "timm/" in problem({"name": "zzzz", "weights": "none"})


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycal.networks.from_timm.is_installed", lambda package: False)
    monkeypatch.setattr(networks, "_members", {})

    assert problem({"name": "timm/test_resnet", "weights": "none"}) == (
        "timm is not installed: pip install 'raycal[timm]'"
    )


def test_forgotten_family_is_gone() -> None:
    assert "wide/7" in networks
    networks.forget("wide/")
    assert "wide/7" not in networks
    networks.family("wide")(lambda rest: (lambda num_classes: nn.Identity(), NetworkFacts(gflop=1.0)))


def test_family_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the network family name 'timm' is taken, by one in raycal\.networks"):
        networks.family("timm")(lambda rest: (lambda num_classes: nn.Identity(), NetworkFacts(gflop=1.0)))


def test_stored_configuration_is_read_without_the_package() -> None:
    stored = config({"name": "wide/7", "weights": "none"}).model_dump(mode="json")
    networks.forget("wide/")
    asked.clear()

    assert ExperimentConfig.model_validate(stored).model.name == "wide/7"
    networks.family("wide")(lambda rest: (lambda num_classes: nn.Identity(), NetworkFacts(gflop=1.0)))


def test_package_is_imported_only_for_its_names() -> None:
    code = """
import sys
from raycal.config import ExperimentConfig
from raycal.experiment import build
given = {"dataset": "digits", "scenario": "random", "model": "resnet18"}
made = ExperimentConfig.model_validate(given, context=build.REGISTRIES)
stored = made.model_dump(mode="json")
stored["model"]["name"] = "timm/resnet50"
ExperimentConfig.model_validate(stored)
print([name for name in ("timm", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
