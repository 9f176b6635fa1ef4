"""Tests that each optimizer trains as torch's own does, with its options."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_learner import TRAINING, WIDTH, dataset, everything, extractor, learner, same, weights
from torch.nn import functional
from workers import on_workers

from raycal.algorithm.randomness import stream
from raycal.learner.learner import FineTuner, LinearProbe
from raycal.learner.optimizers import optimizers
from raycal.learner.team import Team

# Every step uses all 40 samples, so that their order does not matter.
FULL_BATCH = TRAINING.model_copy(update={"epochs": 6, "batch_size": 40, "learning_rate": 0.02, "weight_decay": 0.1})


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def probe(optimizer: Any, **settings: Any) -> LinearProbe:
    made = LinearProbe(extractor(dataset(num_train=40)), FULL_BATCH.model_copy(update=settings), optimizer=optimizer)
    made.reset(stream(0, 0, "head"))
    return made


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("sgd", {}, partial(torch.optim.SGD, momentum=0.9)),
        ("adamw", {}, torch.optim.AdamW),
        ("adamw", {"betas": [0.5, 0.9], "eps": 0.1}, partial(torch.optim.AdamW, betas=(0.5, 0.9), eps=0.1)),
    ],
    ids=["sgd", "adamw", "options"],
)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_head_is_that_of_torchs_own_loop(name: str, options: Any, expected: Any, schedule: Any) -> None:
    made = probe(partial(optimizers[name], **options), schedule=schedule)
    head = torch.nn.Linear(WIDTH, 3)
    head.load_state_dict(made.extractor.head.state_dict())
    embeddings = torch.from_numpy(made.predict(np.arange(40)).embeddings)
    labels = torch.from_numpy(made._dataset.train_labels)
    optimizer = expected(head.parameters(), lr=0.02, weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    for _ in range(6):
        functional.cross_entropy(head(embeddings), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if schedule == "cosine":
            scheduler.step()
    made.fit(everything(made._dataset), stream(0, 0, "train"))

    torch.testing.assert_close(made.extractor.head.weight.detach(), head.weight.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made.extractor.head.bias.detach(), head.bias.detach(), atol=1e-5, rtol=1e-4)


def test_default_is_sgd_with_a_constant_rate() -> None:
    images = dataset()
    plain, named = learner(images), FineTuner(extractor(images), TRAINING, optimizer=optimizers["sgd"])
    named.reset(stream(0, 0, "head"))
    for made in (plain, named):
        made.fit(everything(images), stream(0, 0, "train"))

    assert same(weights(plain), weights(named))


def fit(team: Team) -> Any:
    images = dataset(num_train=40)
    training = TRAINING.model_copy(update={"epochs": 2, "schedule": "cosine", "warmup": 2})
    made = FineTuner(extractor(images), training, optimizer=optimizers["adamw"], team=team)
    if not team.leads:
        team.serve_as_worker(made)
    else:
        made.reset(stream(0, 0, "head"))
        made.fit(everything(images), stream(0, 0, "train"))
        team.dismiss()
    return weights(made)


@pytest.mark.slow
def test_workers_have_the_same_weights_after_adamw_with_cosine(tmp_path: Path) -> None:
    one, other = on_workers(tmp_path, fit)

    assert same(one, other)
    assert not same(one, weights(learner(dataset(num_train=40))))
