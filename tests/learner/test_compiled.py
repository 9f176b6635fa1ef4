import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_learner import TRAINING, dataset, everything, extractor, same, vectors, weights
from torch import Tensor
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Evaluation, Floats
from raycal.data import LoadedDataset
from raycal.learner.compiled import BatchSizes, Compiled, compiled
from raycal.learner.device import DeviceSettings, free_memory
from raycal.learner.feature_extractor import SCORING_PIXELS, inputs_of
from raycal.learner.learner import FineTuner, LinearProbe, NetworkLearner
from raycal.learner.network import head_of, new_network
from raycal.learner.team import Team
from raycal.networks import networks

IMAGES, VECTORS = dataset(num_train=40, num_test=21), vectors()
BATCH = TRAINING.batch_size


class Calls:
    """A torch.compile whose backend needs no compiler; it records the number of images in every compiled call."""

    def __init__(self, compile: Any, backend: str) -> None:
        self._compile, self._backend = compile, backend
        self.modes: list[str | None] = []
        self.sizes: list[tuple[bool, int]] = []

    def __call__(self, forward: Any, *, mode: str | None, **options: Any) -> Any:
        self.modes.append(mode)
        made = self._compile(forward, backend=self._backend, **options)

        def call(images: Tensor) -> Any:
            self.sizes.append((torch.is_grad_enabled(), len(images)))
            return made(images)

        return call


@pytest.fixture(autouse=True)
def small_batches_of_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in SCORING_PIXELS:
        monkeypatch.setitem(SCORING_PIXELS, device, 16 * TRAINING.image_size**2)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Calls]:
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # This lets monkeypatch restore the variable.
    made = Calls(torch.compile, "aot_eager")
    monkeypatch.setattr(torch, "compile", made)
    torch.set_num_threads(1)
    yield made
    torch.compiler.reset()


def device_settings(device: str = "cpu", *, compiled: bool = True) -> DeviceSettings:
    return DeviceSettings(torch.device(device), torch.float32, compiled=compiled)


def learner(device_settings: DeviceSettings, *, team: Team | None = None, **settings: Any) -> NetworkLearner:
    training = TRAINING.model_copy(update={"epochs": 2} | settings)
    return FineTuner(extractor(IMAGES, device_settings, image_size=training.image_size), training, team=team)


def work(made: NetworkLearner) -> tuple[dict[str, Tensor], Floats, Evaluation]:
    """Run an iteration in which every kind of batch has a smaller last one."""
    made.reset(stream(0, 0, "head"))
    made.fit(everything(IMAGES), stream(0, 0, "train"))
    return weights(made), made.predict(np.arange(37)).probs, made.evaluate()


@pytest.mark.slow
def test_compiled_network_learns_what_the_network_does(calls: Calls) -> None:
    plain, probs, evaluation = work(learner(device_settings(compiled=False)))
    assert calls.sizes == []
    made = learner(device_settings())
    trained, compiled_probs, compiled_evaluation = work(made)

    assert made.device_settings.describe()["compiled"]
    assert list(trained) == list(plain)
    for name, value in plain.items():
        torch.testing.assert_close(trained[name], value, atol=1e-4, rtol=1e-3)
    np.testing.assert_allclose(compiled_probs, probs, atol=1e-4)
    assert compiled_evaluation.loss == pytest.approx(evaluation.loss, abs=1e-4)


@pytest.mark.slow
def test_only_whole_batches_are_compiled_and_each_kind_once(calls: Calls) -> None:
    made = learner(device_settings())
    warm_up = 3 * [(True, BATCH), (False, 16)]
    assert calls.sizes == warm_up
    with torch.compiler.set_stance("fail_on_recompile"):
        work(made)
        made.load(made.save())
        work(made)

    # The 40 samples are two batches and a half in each of two epochs. Then 37 and 21 images are scored.
    assert calls.sizes == warm_up + 2 * (4 * [(True, BATCH)] + 3 * [(False, 16)])
    assert calls.modes == ["reduce-overhead"]


@pytest.mark.slow
def test_compiling_leaves_weights_gradients_and_torchs_generator_as_they_were(calls: Calls) -> None:
    plain = weights(learner(device_settings(compiled=False)))
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    made = learner(device_settings())

    assert same(weights(made), plain)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in made.extractor.network.parameters())
    assert not torch.backends.cudnn.benchmark


@pytest.mark.slow
def test_as_many_compilers_run_as_torch_has_threads_and_none_stays(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import async_compile, config

    ended = []
    monkeypatch.setattr(async_compile, "shutdown_compile_workers", lambda: ended.append(config.compile_threads))
    for threads in (1, 2, 64):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        learner(device_settings())

    assert ended == [1, 2, 16]


@pytest.mark.slow
def test_one_experiment_after_another_is_compiled_however_many(calls: Calls) -> None:
    from torch._dynamo import config

    # This limits how often the same code is compiled again; torch's default is 8.
    with config.patch(recompile_limit=2):
        for side in (32, 40, 48):
            assert learner(device_settings(), image_size=side).device_settings.compiled
            free_memory()


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["no compiler", "no cache"])
def test_network_that_cannot_be_compiled_runs_as_it_is(
    trouble: str, calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = work(learner(device_settings(compiled=False)))
    if trouble == "no cache":
        (tmp_path / "cache").write_text("a file")
    else:

        def broken(graph: object, inputs: object) -> object:
            raise RuntimeError("Failed to find C compiler\nand more")

        monkeypatch.setattr(calls, "_backend", broken)
    with caplog.at_level(logging.WARNING):
        made = learner(device_settings())
        done = work(made)

    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("the network could not be compiled and runs uncompiled: ")
    assert ("Failed to find C compiler" in line) == (trouble == "no compiler")
    assert "\n" not in line
    assert not made.device_settings.describe()["compiled"]
    assert same(done[0], expected[0])
    assert (done[1] == expected[1]).all()


def test_frozen_network_is_compiled_for_scoring_alone(calls: Calls) -> None:
    work(LinearProbe(extractor(IMAGES, device_settings()), TRAINING))

    assert not any(training for training, _ in calls.sizes)


def train_and_score(team: Team, compiled: bool) -> Any:
    torch.compile = calls = Calls(torch.compile, "aot_eager")  # type: ignore[assignment]
    made = learner(device_settings(compiled=compiled), team=team)
    if team.leads:
        done = work(made)
        team.dismiss()
        return done, calls.modes, calls.sizes
    team.serve_as_worker(made)
    return None, calls.modes, calls.sizes


@pytest.mark.long
def test_workers_that_compile_learn_together_what_they_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))
    (plain, *_), _ = on_workers(tmp_path / "plain", train_and_score, False)
    of_both = on_workers(tmp_path / "compiled", train_and_score, True)
    found = of_both[0][0]

    for name, value in plain[0].items():
        torch.testing.assert_close(found[0][name], value, atol=1e-4, rtol=1e-3)
    np.testing.assert_allclose(found[1], plain[1], atol=1e-4)
    for _, modes, sizes in of_both:
        assert modes == [None]  # CUDA graphs would disturb the communication of the workers.
        assert sizes.count((True, BATCH // 2)) == 3 + 4


def learn_with_a_compiler(_: Team) -> Any:
    made = learner(device_settings())
    return made.device_settings.compiled, work(made)[:2]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="on a CPU torch compiles by g++")
def test_what_one_process_has_compiled_others_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))
    (first,) = on_workers(tmp_path / "first", learn_with_a_compiler, size=1)
    graphs = set((tmp_path / "cache/compiled/fxgraph").rglob("*"))
    (second,) = on_workers(tmp_path / "second", learn_with_a_compiler, size=1)

    assert first[0]
    assert second[0]
    assert graphs
    assert set((tmp_path / "cache/compiled/fxgraph").rglob("*")) == graphs
    assert same(first[1][0], second[1][0])
    assert (first[1][1] == second[1][1]).all()


@pytest.mark.long
@pytest.mark.parametrize("name", tuple(networks))
def test_every_network_compiles_as_one_graph(name: str, calls: Calls) -> None:
    facts = networks.facts(name)
    samples: LoadedDataset = VECTORS if facts.input == "vectors" else IMAGES
    num_features = 6 if facts.input == "vectors" else None
    network = new_network(name, 3, np.random.default_rng(0), num_features=num_features)
    inputs = inputs_of(samples, facts.image_size or 64, facts, device_settings())
    made = compiled(network, head_of(network)[1], BatchSizes(2, 3), inputs, device_settings(), alone=True)

    assert isinstance(made, Compiled)
    assert calls.sizes == 3 * [(True, 2), (False, 3)]


@pytest.mark.gpu
@pytest.mark.timeout(900)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gpu_compiles_once_learns_and_gives_what_it_does_without(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # This lets monkeypatch restore the variable.
    free_memory()
    reserved = torch.cuda.memory_reserved()
    # At a higher learning rate, rounding errors would decide the result of these few steps.
    settings = {"epochs": 12, "learning_rate": 1e-3}
    plain = learner(DeviceSettings(torch.device("cuda"), dtype), **settings)
    made = learner(DeviceSettings(torch.device("cuda"), dtype, compiled=True), **settings)
    assert made.device_settings.compiled, caplog.text
    assert any((tmp_path / "compiled").iterdir())
    with torch.compiler.set_stance("fail_on_recompile"):
        for _ in range(3):
            _, probs, evaluation = work(made)
            plain.load(made.save())

            assert evaluation.accuracy > 0.9
            np.testing.assert_allclose(plain.predict(np.arange(37)).probs, probs, atol=0.02)
            assert plain.evaluate().loss == pytest.approx(evaluation.loss, abs=0.02)

    del made, plain
    free_memory()
    assert torch.cuda.memory_reserved() <= reserved + 2**27  # cuBLAS keeps some memory.
