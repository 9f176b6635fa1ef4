"""The lists of packages: what the machine has, and what is carried there."""

from pathlib import Path

HERE = Path(__file__).parent
WHEELS, MACHINE = HERE / "wheels.txt", HERE / "machine.txt"


def carried() -> list[str]:
    """Each wheel that is carried, as `name==version`."""
    return _entries(WHEELS)


def on_the_machine() -> list[str]:
    """Names of the packages that the machine is taken to have, without their own requirements."""
    return _entries(MACHINE)


def _entries(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]
