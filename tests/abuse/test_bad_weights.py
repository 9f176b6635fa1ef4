"""Refuses weights files that hold something other than weights, or that would run code."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from refusal import Refuse, expect
from torchvision.models import resnet18, resnet34


class Hostile:
    """An object whose unpickling would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trace",)


def saved(state: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(state, path)


def changed(**tensors: Any) -> Callable[[Path], None]:
    """A function that writes the weights of a resnet18 with one tensor changed."""
    return lambda path: torch.save(resnet18().state_dict() | {"conv1.weight": tensors["conv1"]}, path)


def cut(path: Path) -> None:
    torch.save(resnet18().state_dict(), path)
    path.write_bytes(path.read_bytes()[:1_000_000])


def packed(path: Path) -> None:
    """Write a file of a megabyte that unpacks to a gigabyte of zeros."""
    torch.save({"x": torch.zeros(1)}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("weights/data/1", "w") as member:
        for _ in range(64):
            member.write(bytes(1 << 20))


CONV1 = (64, 3, 7, 7)
BEFORE_READING: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "experiment.model.weights: weights.pth: no such file (or imagenet, or none)"),
    "a folder": (Path.mkdir, "weights.pth: a folder; give the file with the state dict (or imagenet, or none)"),
    "empty": (Path.touch, "weights.pth: an empty file; give a state dict saved by torch.save (or imagenet, or none)"),
    "a link to itself": (lambda path: path.symlink_to(path), "weights.pth: no such file (or imagenet, or none)"),
    "a pipe": (os.mkfifo, "weights.pth: no such file (or imagenet, or none)"),
}
NO_STATE = "model.weights: weights.pth: not a state dict saved by torch.save"
READ: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("hello"), NO_STATE),
    "zero bytes": (lambda path: path.write_bytes(bytes(1000)), NO_STATE),
    "cut": (cut, NO_STATE),
    "code": (saved({"conv1.weight": Hostile()}), "code in such files is never run"),
    "a whole module": (saved(torch.nn.Linear(2, 2)), "code in such files is never run"),
    "an archive of something": (lambda path: zipfile.ZipFile(path, "w").writestr("../evil", "x"), NO_STATE),
    "a bomb": (packed, "weights/data/1 is compressed, which torch.save never does; save it again"),
    "a list": (saved([1, 2]), "should hold a state dict, which maps names to tensors"),
    "numbers for names": (saved({1: torch.zeros(1)}), "should hold a state dict, which maps names to tensors"),
    "numbers for tensors": (saved({"conv1.weight": 3}), "names to tensors, but conv1.weight is not a tensor"),
    "another network": (saved(resnet34().state_dict()), "not the weights of the network resnet18"),
    "nothing": (saved({}), "not the weights of the network resnet18"),
    "another shape": (changed(conv1=torch.zeros(3)), "the first is conv1.weight"),
    "an enormous view": (changed(conv1=torch.zeros(1).expand(10**9)), "the first is conv1.weight"),
    "not finite": (changed(conv1=torch.full(CONV1, torch.nan)), "conv1.weight holds values that are not finite"),
    "sparse": (changed(conv1=torch.zeros(CONV1).to_sparse()), "conv1.weight is not a plain numeric tensor"),
    "without content": (changed(conv1=torch.empty(CONV1, device="meta")), "conv1.weight is not a plain numeric tensor"),
    "complex": (changed(conv1=torch.zeros(CONV1, dtype=torch.complex64)), "conv1.weight is not a plain numeric tensor"),
}


@pytest.mark.parametrize("case", BEFORE_READING)
def test_file_is_refused_before_the_start(place: Path, refuse: Refuse, case: str) -> None:
    make, part = BEFORE_READING[case]
    make(place / "weights.pth")

    expect(refuse("--set", "model.weights=weights.pth", dry_run=True), part)


@pytest.mark.parametrize("case", READ)
def test_file_is_refused_when_it_is_read(place: Path, refuse: Refuse, case: str) -> None:
    make, part = READ[case]
    make(place / "weights.pth")

    expect(refuse("--set", "model.weights=weights.pth"), part)
    assert not (place / "trace").exists()
    assert not (place / "storage").exists()


@pytest.mark.parametrize(("name", "problem"), [("''", "''"), ('"a\\0b"', "a\\x00b")])
def test_name_of_no_file_is_refused(refuse: Refuse, name: str, problem: str) -> None:
    expect(refuse("--set", f"model.weights={name}"), f"experiment.model.weights: {problem}: no such file")
