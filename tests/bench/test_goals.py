import pytest

from raycal.bench.gpu.goals import on_this_gpu, share_of_h200


@pytest.mark.parametrize(
    ("gpu", "share"),
    [("NVIDIA H200", 1.0), ("NVIDIA H100 80GB HBM3", 3.35 / 4.8), ("NVIDIA GH200 480GB", 1.0), ("NVIDIA L4", 1.0)],
)
def test_share_is_that_of_the_memory_bandwidth(gpu: str, share: float) -> None:
    assert share_of_h200(gpu) == pytest.approx(share)


def test_goal_follows_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100 PCIe")

    assert on_this_gpu(20_000) == pytest.approx(13_958, abs=1)
