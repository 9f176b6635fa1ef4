import logging

import pytest
from ray._private.authentication import authentication_token_setup as setup

from raycal import pool
from raycal.distributed import session
from raycal.distributed.session import ray_session, visit
from raycal.errors import InputError


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999999"])
def test_address_without_a_cluster_is_refused_at_once(address: str) -> None:
    with pytest.raises(InputError, match=f"no Ray cluster answers at {address}: "), ray_session(address):
        pass


def test_address_of_the_environment_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match="no Ray cluster answers at 127"), ray_session(None):
        pass


def test_client_address_is_refused() -> None:
    address = "ray://127.0.0.1:1"
    with pytest.raises(InputError, match=f"no Ray cluster at {address}: give host:port"), ray_session(address):
        pass


def test_address_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no Ray cluster at nonsense: "), ray_session("nonsense"):
        pass


def test_look_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(InputError, match="no Ray cluster runs on this machine"), visit(None):
        pass
    assert pool.main([]) == 2
    assert capsys.readouterr().err == "no Ray cluster runs on this machine; name one with --address or RAY_ADDRESS\n"


@pytest.mark.parametrize(("address", "shown"), [("local", []), ("127.0.0.1:6379", ["Token authentication is enabled"])])
def test_warning_about_tokens_is_of_clusters_that_others_can_reach(
    address: str, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger(setup.__name__)
    before, said = logger.level, []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage()[:31])

    def init(*arguments: object, **options: object) -> None:
        setup._warn_token_auth_enabled()  # Ray calls this function if RAY_AUTH_MODE is not set.

    monkeypatch.setattr(session.ray, "init", init)
    keep = Keep()
    logger.addHandler(keep)
    try:
        session._connect(address, level=logging.WARNING)
    finally:
        logger.removeHandler(keep)
        logger.setLevel(before)

    assert said == shown
