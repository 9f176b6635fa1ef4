import numpy as np
import pytest
import torch

from raycal.algorithm.records import TrainingSet
from raycal.bench.material import Options, learner, made_up_images
from raycal.bench.training import BareLoop, weights_of
from raycal.config import TrainingConfig


@pytest.mark.parametrize("image_size", [32, 48])
def test_bare_loop_does_the_same_steps_as_the_learner(image_size: int) -> None:
    made = made_up_images(48, 10)
    model = learner(Options(), made, image_size=image_size, batch_size=16, dtype="float32", epochs=1)
    recipe = TrainingConfig(image_size=image_size, batch_size=16, epochs=1, learning_rate=0.01)
    loop = BareLoop(weights_of(model), made, recipe, model.device_settings)
    samples = TrainingSet(indices=np.arange(48), labels=made.train_labels)

    before = weights_of(model)
    losses = loop.fit(samples, np.random.default_rng(3))
    model.fit(samples, np.random.default_rng(3))

    ours, theirs = weights_of(model), loop.model.state_dict()
    assert len(losses) == 3
    assert losses[0] == pytest.approx(np.log(10), abs=1.0)
    moved = max(float((ours[name] - before[name]).abs().max()) for name in ("conv1.weight", "fc.weight"))
    assert moved > 1e-3
    for name in ("conv1.weight", "layer4.1.conv2.weight", "fc.weight", "fc.bias"):
        assert torch.allclose(ours[name], theirs[name], atol=0.05 * moved), name


def test_compiled_bare_loop_tells_torch_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without this call, CUDA graphs are recorded anew in every step, once a learner in the same process has marked its
    # steps.
    events = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: events.append("step"))
    monkeypatch.setattr(torch, "compile", lambda model, mode: lambda images: events.append(mode) or model(images))
    made = made_up_images(48, 10)
    model = learner(Options(), made, image_size=32, batch_size=16, dtype="float32", epochs=1)
    recipe = TrainingConfig(image_size=32, batch_size=16, epochs=1, learning_rate=0.01)
    loop = BareLoop(weights_of(model), made, recipe, model.device_settings, compiled=True)

    loop.fit(TrainingSet(indices=np.arange(48), labels=made.train_labels), np.random.default_rng(3))

    assert events == 3 * ["step", "reduce-overhead"]
