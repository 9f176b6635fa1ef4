import pytest
import torch

from raycal.learner.device import STEPS_WORTH_COMPILING, DeviceSettings, same_threads_afterwards


def with_instructions(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_is_bfloat16_only_where_the_cpu_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    with_instructions(monkeypatch, **capabilities)
    assert DeviceSettings.choose("auto") == DeviceSettings(torch.device("cpu"), dtype)


def test_named_format_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with_instructions(monkeypatch, avx512_bf16=True)
    assert DeviceSettings.choose("float32").dtype is torch.float32
    assert DeviceSettings.choose("bfloat16").dtype is torch.bfloat16


def test_threads_are_set_and_described(monkeypatch: pytest.MonkeyPatch) -> None:
    with_instructions(monkeypatch)
    described = DeviceSettings.choose("float32", threads=1).describe()

    assert torch.get_num_threads() == 1
    assert (described["device"], described["dtype"], described["threads"]) == ("cpu", "float32", 1)
    assert described["compiled"] is False
    assert described["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("gpu", "compiled", "steps", "expected"),
    [
        (True, None, STEPS_WORTH_COMPILING, True),
        (True, None, STEPS_WORTH_COMPILING - 1, False),
        (True, True, 0, True),
        (True, False, 10**6, False),
        (False, None, 10**6, False),
        (False, True, 0, True),
    ],
)
def test_network_is_compiled_on_a_gpu_for_long_trainings_or_as_given(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, compiled: bool | None, steps: int, expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)

    assert DeviceSettings.choose("float32", compiled=compiled, steps=steps).compiled is expected


def test_images_may_take_half_of_a_workers_part_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1, 80_000))

    assert DeviceSettings(torch.device("cuda"), torch.float32).room_for_images() == 40_000
    assert DeviceSettings(torch.device("cuda"), torch.float32, gpu_share=0.25).room_for_images() == 10_000
    assert DeviceSettings(torch.device("cpu"), torch.float32).room_for_images() == float("inf")


def test_threads_of_the_process_come_back() -> None:
    before = torch.get_num_threads()
    with same_threads_afterwards():
        DeviceSettings.choose(threads=before + 1)
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
