import pytest

from raycal.distributed.session import ray_session
from raycal.errors import InputError


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"])
def test_address_without_a_cluster_is_refused_at_once(address: str) -> None:
    with pytest.raises(InputError, match=f"no Ray cluster answers at {address}: "), ray_session(address):
        pass


def test_address_of_the_environment_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match="no Ray cluster answers at 127"), ray_session(None):
        pass
