import pytest

from raycal.annotate.site import Site


@pytest.mark.parametrize(
    ("host", "local", "allowed"),
    [
        ("label.example.org", "10.1.2.3", True),
        ("LABEL.example.org:443", "10.1.2.3", True),
        ("label.example.org.", "10.1.2.3", True),
        ("10.1.2.3:8700", "10.1.2.3", True),
        ("10.1.2.3:8700", "::ffff:10.1.2.3", True),
        ("[fd00::7]:8700", "fd00::7", True),
        ("10.1.2.4:8700", "10.1.2.3", False),
        ("other.example.org", "10.1.2.3", False),
        ("example.org", "10.1.2.3", False),
    ],
)
def test_named_hosts_and_the_own_address_are_allowed(host: str, local: str, allowed: bool) -> None:
    assert Site(names=frozenset({"label.example.org"})).allows_host(host, local) is allowed
