"""Tests the settings that an experiment cannot have if people answer, and a sweep with people as its expert that asks
nobody."""

from typing import Any

import pytest

from raycal.config import load_sweep
from raycal.errors import InputError
from raycal.experiment import build
from raycal.sweep.job import Request, prepare


def sweep(**experiment: Any) -> dict[str, Any]:
    settings = {"dataset": "digits", "scenario": "uncertain+cluster", "expert": "people", **experiment}
    return {"name": "birds", "experiment": settings}


def test_people_are_an_expert_without_a_threshold() -> None:
    (config,) = load_sweep(sweep(), build.REGISTRIES).experiments.values()

    assert config.purity_threshold is None
    assert config.expert.options == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scenario": "representative-only"}, "not about representatives"),
        ({"retrain_between": True}, "would have to wait for the training"),
        ({"clustering": {"order": "oracle"}}, "not known in advance"),
        ({"training": {"cluster_weight": "purity"}}, "purity of a cluster is not known"),
        ({"expert": {"name": "symmetric_noise", "rate": 0.1, "of": "people"}}, "cannot wrap the expert people"),
    ],
)
def test_setting_that_people_cannot_fill_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_sweep(sweep(**settings), build.REGISTRIES)


def test_sweep_asks_no_people(tmp_path: Any) -> None:
    with pytest.raises(InputError, match=r"in a browser, not in a sweep; run python -m raycal\.annotate"):
        prepare(Request(sweep=sweep(), storage=str(tmp_path), local=True))
    assert not list(tmp_path.iterdir())
