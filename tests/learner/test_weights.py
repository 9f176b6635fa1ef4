import os
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision.models import ResNet18_Weights, mobilenet_v3_small, resnet18, resnet34

from raycal.errors import InputError
from raycal.learner.weights import load_weights


def save(state: Any, folder: Path) -> str:
    path = folder / "weights.pth"
    torch.save(state, path)
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(InputError) as caught:
        load_weights(path)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    return problem


def test_none_loads_nothing() -> None:
    assert load_weights("none") is None


def test_backbone_is_loaded_in_float32_and_the_head_left_out(tmp_path: Path) -> None:
    state = resnet18(num_classes=7).state_dict()
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    loaded = load_weights(save(half, tmp_path))

    assert loaded is not None
    assert set(loaded) == {name for name in state if not name.startswith("fc.")}
    assert loaded["conv1.weight"].dtype == torch.float32
    torch.testing.assert_close(loaded["conv1.weight"], state["conv1.weight"].half().float())


def test_names_of_data_parallel_and_a_nested_state_dict_are_understood(tmp_path: Path) -> None:
    state = resnet18().state_dict()
    path = save({"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, tmp_path)
    loaded = load_weights(path)

    assert loaded is not None
    assert torch.equal(loaded["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


def test_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save(resnet18().state_dict(), tmp_path)
    assert load_weights("~/weights.pth") is not None


def test_imagenet_weights_are_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    state, asked = resnet18().state_dict(), []

    def fetch(url: str, **options: Any) -> Any:
        asked.append((url, options["check_hash"], options["weights_only"]))
        return state

    monkeypatch.setattr("raycal.learner.weights.load_state_dict_from_url", fetch)
    loaded = load_weights("imagenet")

    assert asked == [(ResNet18_Weights.IMAGENET1K_V1.url, True, True)]
    assert loaded is not None
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"])


def test_download_that_fails_says_what_to_give_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, **_: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("raycal.learner.weights.load_state_dict_from_url", fail)
    problem = refusal("imagenet")
    assert problem.startswith("model.weights: imagenet: the download to ")
    assert "give the path of a state dict of resnet18, or none" in problem


def test_other_networks_are_refused(tmp_path: Path) -> None:
    assert "not the weights of the network resnet18" in refusal(save(resnet34().state_dict(), tmp_path))


def test_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    state = resnet18().state_dict() | {"layer1.0.conv1.weight": torch.zeros(3)}
    assert refusal(save(state, tmp_path)).endswith("the first is layer1.0.conv1.weight")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = resnet18().state_dict()
    state["layer2.0.conv1.weight"][0, 0, 0, 0] = float("nan")
    assert "layer2.0.conv1.weight holds values that are not finite" in refusal(save(state, tmp_path))


class Hostile:
    """An object whose unpickling would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert "code in such files is never run" in refusal(save({"conv1.weight": Hostile(trace)}, tmp_path))
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no zip after all", b"\x80\x04."])
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    assert refusal(str(path)).startswith(f"model.weights: {path}: ")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(str(tmp_path / "none.pth"))
    assert refusal(str(tmp_path)).startswith(f"model.weights: {tmp_path}: ")


@pytest.mark.parametrize("state", [[1, 2], {"conv1.weight": 3}, torch.zeros(3)])
def test_things_that_are_no_state_dict_are_refused(tmp_path: Path, state: Any) -> None:
    assert "should hold a state dict" in refusal(save(state, tmp_path))


def test_other_network_takes_its_own_weights_only(tmp_path: Path) -> None:
    state = mobilenet_v3_small(num_classes=4).state_dict()
    path = save(state, tmp_path)
    loaded = load_weights(path, "mobilenet_v3_small")

    assert loaded is not None
    assert set(state) - set(loaded) == {"classifier.3.weight", "classifier.3.bias"}
    assert torch.equal(loaded["classifier.0.weight"], state["classifier.0.weight"])
    with pytest.raises(InputError, match="not the weights of the network resnet34: "):
        load_weights(path, "resnet34")
