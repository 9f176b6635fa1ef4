"""A separate feature model says which samples are alike, while another network is trained and predicts."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from workers import on_workers

from raycal.algorithm.acquisition import AnnotatedSamples, HeadWeights, QueryContext, acquisitions
from raycal.algorithm.records import Predictions, TrainingSet
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.labels import trial_labels
from raycal.data import DatasetInfo
from raycal.dry_run.cost import estimate_cost
from raycal.errors import InputError
from raycal.experiment import build
from raycal.learner import embedding_cache, feature_extractor
from raycal.learner.network import new_network
from raycal.learner.team import Team

ONE_THREAD = WorkerSettings(threads=1)
FEATURES = {"name": "timm/test_resnet", "weights": "none", "image_size": 48}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))


def config(scenario: Any = "cluster-only", **settings: Any) -> ExperimentConfig:
    given = {
        "dataset": {"name": "digits", "train_size": 24, "test_size": 10},
        "scenario": scenario,
        "model": {"name": "timm/test_vit", "weights": "none"},
        "training": {"epochs": 1, "image_size": 32, "batch_size": 4, "learning_rate": 0.05, "dtype": "float32"},
    }
    return ExperimentConfig.model_validate(given | settings, context=build.REGISTRIES)


def problem(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config(**settings)
    (error,) = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def test_without_features_nothing_changes() -> None:
    plain = config()

    assert "features" not in plain.model_dump(mode="json")
    assert config(features=None).experiment_id == plain.experiment_id
    assert plain.flat().keys() & {"features", "features.name"} == set()
    assert not [key for key in plain.identity() if key == "features"]


def test_features_are_part_of_the_identity_where_a_model_is_asked() -> None:
    with_features = config(features=FEATURES)

    assert with_features.experiment_id != config().experiment_id
    assert with_features.flat()["features.name"] == "timm/test_resnet"
    assert config("random", features=FEATURES).experiment_id == config("random").experiment_id
    assert config("random", features=FEATURES).feature_model is None
    stored = ExperimentConfig.model_validate(with_features.model_dump(mode="json"))
    assert stored.experiment_id == with_features.experiment_id


def test_bare_name_has_the_weights_and_the_size_of_the_network() -> None:
    features = config(features="timm/test_vit").features

    assert features is not None
    assert (features.weights, features.image_size) == ("pretrained", 160)
    assert config(features="timm/test_vit").largest_image_size == 160


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"features": "timm/test_wit"}, "features.name: no such network (did you mean 'timm/test_vit'?)"),
        (
            {"features": {"name": "timm/test_vit", "weights": "imagenet"}},
            "features.weights: should be pretrained, none or a file, not 'imagenet', because those of timm/test_vit "
            "are 'pretrained'",
        ),
        (
            {"features": {"name": "timm/botnet26t_256", "weights": "none", "image_size": 200}},
            "features.image_size: should be a size that timm/botnet26t_256 accepts, such as 192 or 224 or 256, not 200",
        ),
        (
            {"features": {"name": "linear", "weights": "none"}},
            "features.name: takes vectors, but the dataset digits has images",
        ),
    ],
)
def test_features_that_do_not_fit_are_refused(settings: dict[str, Any], words: str) -> None:
    assert problem(**settings) == words


def test_labels_name_the_features_where_they_vary() -> None:
    experiments = {
        one.experiment_id: one
        for one in (config(), config(features=FEATURES), config(features=FEATURES | {"name": "resnet18"}))
    }
    assert list(trial_labels(experiments).values()) == [
        "cluster-only s0",
        "cluster-only (features timm/test_resnet) s0",
        "cluster-only (features resnet18) s0",
    ]


def test_predictions_carry_the_features_of_the_other_network() -> None:
    wanted = config(features=FEATURES)
    loaded = build.dataset(wanted).load()
    learner, plain = build.learner(wanted, loaded, ONE_THREAD), build.learner(config(), loaded, ONE_THREAD)
    for one in (learner, plain):
        one.reset(np.random.default_rng(0))
    rows = np.array([1, 5, 20])
    before, alone = learner.predict(rows), plain.predict(rows)
    learner.fit(TrainingSet(indices=np.arange(24), labels=loaded.train_labels), np.random.default_rng(1))
    after = learner.predict(rows)
    network = new_network("timm/test_resnet", 10, build.stream(0, 0, "features"), image_size=48)

    assert alone.separate is None
    assert alone.features is alone.embeddings
    assert before.separate is not None
    assert before.features.shape == (3, network.num_features)
    assert np.array_equal(before.embeddings, alone.embeddings)
    assert np.array_equal(before.features, after.features)
    assert not np.array_equal(before.embeddings, after.embeddings)
    assert len(np.unique(before.features, axis=0)) == 3


def test_trials_share_features_and_free_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = []
    compute = feature_extractor.FeatureExtractor.embeddings
    monkeypatch.setattr(
        feature_extractor.FeatureExtractor,
        "embeddings",
        lambda self, rows: embedded.append(self.inputs.elements) or compute(self, rows),
    )
    assert embedding_cache.FOLDER == "features"
    for expert in ("oracle", {"name": "oracle", "purity_threshold": 0.6}):
        wanted = config(features=FEATURES, expert=expert)
        loaded = build.dataset(wanted).load()
        learner = build.learner(wanted, loaded, ONE_THREAD)
        learner.reset(np.random.default_rng(0))
        for _ in range(2):
            learner.predict(np.arange(4))
        assert learner.features is not None
        assert learner.features._extractor is None

    assert embedded.count(48**2) == 1  # by the first trial
    assert embedded.count(32**2) == 1


def test_strategies_use_the_features_and_gradients_the_embeddings() -> None:
    rng = np.random.default_rng(0)
    own, probs = rng.normal(size=(12, 5)).astype(np.float32), rng.dirichlet(np.ones(3), 12).astype(np.float32)
    separate = rng.normal(size=(12, 7)).astype(np.float32)
    head = HeadWeights(weights=rng.normal(size=(3, 5)).astype(np.float32), bias=np.zeros(3, np.float32))

    def asked(name: str, embeddings: Any, features: Any) -> list[int]:
        def view_of(part: slice) -> Any:
            return None if features is None else features[part]

        chosen = acquisitions[name](
            QueryContext(
                predictions=Predictions(
                    indices=np.arange(10), probs=probs[:10], embeddings=embeddings[:10], separate=view_of(slice(10))
                ),
                rng=np.random.default_rng(3),
                annotated=partial(
                    AnnotatedSamples,
                    embeddings=embeddings[10:],
                    labels=np.array([0, 1]),
                    separate=view_of(slice(10, None)),
                ),
                head=lambda: head,
                members=lambda count: np.stack([probs[:10]] * count),
            ),
            4,
        )
        return list(map(int, chosen))

    for name in ("core_set", "typiclust", "prob_cover"):
        assert asked(name, own, separate) == asked(name, separate, None), name
    for name in ("badge", "bald"):
        assert asked(name, own, separate) == asked(name, own, None), name


def test_dry_run_counts_one_pass_of_the_feature_model() -> None:
    info = DatasetInfo(num_train=24, num_test=10, num_classes=10)
    with_features, plain = (estimate_cost(one, info).least_gflop for one in (config(features=FEATURES), config()))
    larger = estimate_cost(config(features=FEATURES | {"image_size": 96}), info).least_gflop

    assert with_features > plain
    assert larger - plain == pytest.approx(4 * (with_features - plain), rel=0.15)


def test_weights_of_features_are_prepared_and_compared(tmp_path: Path) -> None:
    network = new_network("timm/test_resnet", 3, np.random.default_rng(0))
    torch.save(network.state_dict(), tmp_path / "features.pth")
    wanted = config(features=FEATURES | {"weights": str(tmp_path / "features.pth")})
    inputs = build.prepare({wanted.experiment_id: wanted})
    expected = build.expected_inputs(inputs, {wanted.experiment_id: wanted})[wanted.experiment_id]
    loaded = build.dataset(wanted).load()
    learner = build.learner(wanted, loaded, ONE_THREAD)

    assert learner.features is not None
    assert expected.features == learner.features.weights_digest != learner.weights_digest
    (manifest,) = (one.manifest for one in inputs.datasets.values())
    expected.check(manifest, None, expected.features)
    with pytest.raises(InputError, match="the weights of `features` on this node differ"):
        expected.check(manifest, None, "other")


def test_bad_weights_of_features_are_named(tmp_path: Path) -> None:
    torch.save(new_network("timm/test_vit", 3, np.random.default_rng(0)).state_dict(), tmp_path / "other.pth")
    wanted = config(features=FEATURES | {"weights": str(tmp_path / "other.pth")})
    with pytest.raises(InputError, match=r"features\.weights: .*: not the weights of the network timm/test_resnet"):
        build.prepare({wanted.experiment_id: wanted})


def of_team(team: Team, cache: str) -> Predictions | None:
    """The predictions of worker 0; the other worker serves it."""
    os.environ["RAYCAL_CACHE"] = cache
    wanted = config(features=FEATURES)
    learner = build.learner(wanted, build.dataset(wanted).load(), ONE_THREAD, team=team)
    if not team.leads:
        team.serve_as_worker(learner)
        return None
    learner.reset(np.random.default_rng(0))
    predictions = learner.predict(np.arange(0, 24, 3))
    team.dismiss()
    return predictions


@pytest.mark.slow
def test_two_workers_embed_the_pool_together(tmp_path: Path) -> None:
    together, _ = on_workers(tmp_path / "two", of_team, str(tmp_path / "cache of two"))
    alone = of_team(Team.alone(), str(tmp_path / "cache of one"))

    assert alone is not None
    assert together.separate.shape == (8, alone.features.shape[1])
    np.testing.assert_allclose(together.separate, alone.separate, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(together.embeddings, alone.embeddings, rtol=1e-3, atol=1e-3)
