import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from raycal.bench import obvious
from raycal.bench.iteration import Ours, Script, Work
from raycal.bench.material import Options, made_up_images
from raycal.networks import IMAGENET_MEAN, IMAGENET_STD

WORK = Work(num_pool=90, num_test=30, labeled=20, budget=20, image_size=32, batch_size=16)


def recipe(**given: float) -> obvious.Recipe:
    return obvious.Recipe(**({"image_size": 32, "batch_size": 16, "epochs": 1, "learning_rate": 0.01} | given))


def pil_images(count: int) -> obvious.PilImages:
    made = made_up_images(count, 0)
    return obvious.PilImages(made.images, made.labels, 32)


def test_normalization_is_that_of_raycal() -> None:
    assert (obvious.MEAN, obvious.STD) == (IMAGENET_MEAN, IMAGENET_STD)


def test_two_passes_give_what_the_network_says() -> None:
    torch.manual_seed(0)
    model, pool = resnet18(num_classes=10), pil_images(40)

    probs, embeddings = (call(model, pool, recipe()) for call in (obvious.probabilities, obvious.embeddings))

    assert (probs.shape, embeddings.shape) == ((40, 10), (40, 512))
    expected = (torch.from_numpy(embeddings) @ model.fc.weight.T + model.fc.bias).softmax(1).detach().numpy()
    assert np.allclose(probs, expected, atol=1e-5)


def test_most_uncertain_have_the_highest_entropy() -> None:
    probs = np.array([[0.9, 0.1], [0.5, 0.5], [1.0, 0.0], [0.6, 0.4]], np.float32)

    assert obvious.most_uncertain(probs, 2).tolist() == [1, 3]


@pytest.mark.slow
def test_script_learns() -> None:
    torch.manual_seed(0)
    model, pool = resnet18(num_classes=10), pil_images(80)

    losses = obvious.train(model, pool, recipe(epochs=5))

    assert len(losses) == 25
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@pytest.mark.slow
def test_both_arms_do_the_same_work() -> None:
    options, made = Options(), made_up_images(WORK.num_pool, WORK.num_test)
    ours, script = Ours(options, made, WORK), Script(options, made, WORK)

    ours.iterate()
    script.iterate()

    done, outcome = ours.result, script.outcome
    assert outcome.num_scored == WORK.num_pool - WORK.labeled
    assert outcome.num_tested == WORK.num_test
    assert done.interactions == WORK.labeled + WORK.budget
    trained = int((done.pool.status != 0).sum())
    assert WORK.labeled + WORK.budget // 2 <= min(trained, outcome.num_trained)
    assert abs(trained - outcome.num_trained) <= 0.2 * WORK.num_pool
    assert 0 <= outcome.accuracy <= 1
    assert 0 <= done.evaluation.accuracy <= 1


def test_an_iteration_can_be_repeated() -> None:
    ours = Ours(Options(), made_up_images(WORK.num_pool, WORK.num_test), WORK)
    found = []
    for _ in range(2):
        ours.iterate()
        found.append((ours.result.evaluation, ours.result.pool.labels.tolist()))

    assert found[0] == found[1]
