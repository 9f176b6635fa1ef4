"""The lists of the packages that the machine has, and of the packages that the kit brings."""

from pathlib import Path

HERE = Path(__file__).parent
WHEELS, MACHINE = HERE / "wheels.txt", HERE / "machine.txt"


def carried() -> list[str]:
    """The wheels that the kit brings, as `name==version`."""
    return _entries(WHEELS)


def on_the_machine() -> list[str]:
    """The names of the packages that the machine is assumed to have. Packages that these require are not listed."""
    return _entries(MACHINE)


def _entries(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]
