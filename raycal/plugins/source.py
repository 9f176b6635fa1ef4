"""Finds the source of a plug-in, without importing the plug-in."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

from raycal.errors import InputError
from raycal.home import expand_home
from raycal.plugins.plugin import LOADED, Plugin, what_failed

GROUP = "raycal.plugins"
MAX_BYTES = 16 * 2**20  # A plug-in that travels with the sweep may have at most this many bytes.
_CODE = (".py", ".so", ".pyd")


def find_plugin(reference: str, folder: Path) -> Plugin:
    """Find a plug-in and read its source, without importing it.

    Args:
        reference: An import name, or a path if it has a `/`, begins with `.` or `~`, or ends with `.py`.
        folder: The folder against which a relative path is resolved.

    Raises:
        InputError: The plug-in does not exist, or it cannot be used.
    """
    if "/" in reference or reference.endswith(".py") or reference.startswith(("~", ".")):
        return _at_path(reference, folder)
    return by_name(reference, reference)


def installed_plugins() -> list[Plugin]:
    """The plug-ins that installed distributions announce as entry points.

    Raises:
        InputError: The module of an entry point cannot be found.
    """
    plugin_of: dict[str, Plugin] = {}
    for entry in _entry_points(tuple(_state(path) for path in sys.path)):
        owner = "" if entry.dist is None else f" of {entry.dist.name}"
        plugin = by_name(entry.module, f"{entry.module} (entry point {entry.name}{owner})")
        version = plugin.version if entry.dist is None else entry.dist.version
        plugin_of.setdefault(plugin.module, replace(plugin, version=version))
    return list(plugin_of.values())


@lru_cache(maxsize=1)
def _entry_points(state_of_path: tuple[object, ...]) -> tuple[metadata.EntryPoint, ...]:
    """The entry points of plug-ins. Finding them means to read a file of every installed distribution, so they are kept
    until a distribution is installed or removed, which changes the state of a folder on Python's path.
    """
    return tuple(sorted(metadata.entry_points(group=GROUP)))


def _state(path: str) -> tuple[object, ...]:
    """Values of which one changes when a distribution is installed in this folder or removed from it."""
    try:
        found = os.stat(path or os.curdir)
    except OSError:
        return (path,)
    return path, found.st_dev, found.st_ino, found.st_mtime_ns


def _at_path(reference: str, folder: Path) -> Plugin:
    """The plug-in at a path, which is a file or the folder of a package."""
    place = Path(os.path.abspath(folder / expand_home(reference)))
    if place.is_dir():
        if not (place / "__init__.py").is_file():
            raise InputError(f"{reference}: a folder without __init__.py; give a .py file or the folder of a package")
        names = sorted(_below(place))
    elif place.suffix == ".py":
        names = [place.name]
    else:
        raise InputError(f"{reference}: should be a .py file or the folder of a package")
    module = place.stem if place.suffix == ".py" else place.name
    if not module.isidentifier():
        raise InputError(f"{reference}: cannot be imported by the name {module!r}; rename it to letters, digits and _")
    if conflict := _taken_by(module, place):
        raise InputError(f"{reference}: {conflict} has the name {module}, too; rename the file")
    files: dict[str, bytes] = {}
    for name in names:
        path = place.parent / name
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
            shown = reference if path == place else f"{reference}: {name}"
            raise InputError(f"{shown}: {what}{f' ({path})' if path == place else ''}") from error
        if sum(map(len, files.values())) > MAX_BYTES:
            raise InputError(
                f"{reference}: more than {MAX_BYTES:,} bytes; install the package and give its import name"
            )
    return Plugin(given=reference, module=module, name=module, digest=_digest(files), place=place, files=files)


def _below(package: Path) -> Iterator[str]:
    """The files of a package, relative to its parent folder, without compiled and hidden files."""
    for folder, below, names in os.walk(package):
        below[:] = [name for name in below if name != "__pycache__" and not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.endswith(".pyc"):
                yield Path(folder, name).relative_to(package.parent).as_posix()


def _taken_by(module: str, place: Path) -> str:
    """A description of what already has the name of a module; empty if the source at this place may have the name."""
    if module in LOADED and LOADED[module].files:
        return ""  # The module is the plug-in of an earlier sweep, which will be unloaded.
    if module in sys.stdlib_module_names:
        return "a module of Python's standard library"
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        return ""
    expected_file = place / "__init__.py" if place.is_dir() else place
    with suppress(OSError):
        if os.path.samefile(spec.origin, expected_file):
            return ""
    return f"an installed module ({spec.origin})"


def by_name(module: str, reference: str) -> Plugin:
    """The plug-in that can be imported by this name."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise InputError(
            f"{reference}: should be the import name of a module, such as my_module, or a path, such as ./my_module.py"
        )
    parts = module.split(".")
    chain = [_spec(".".join(parts[:end]), reference) for end in range(1, len(parts) + 1)]
    # A namespace package has no source of its own.
    root = next((spec for spec in chain if spec.origin is not None), chain[-1])
    version = None
    with suppress(metadata.PackageNotFoundError):
        version = metadata.version(root.name)
    if root.submodule_search_locations:
        place = Path(next(iter(root.submodule_search_locations)))
        names = sorted(name for name in _below(place) if name.endswith(_CODE))
    else:
        place = Path(root.origin or "")
        names = [place.name] if place.is_file() else []
    try:
        files = {name: (place.parent / name).read_bytes() for name in names}
    except OSError as error:
        raise InputError(f"{reference}: cannot be read: {error}") from error
    return Plugin(given=reference, module=module, name=root.name, digest=_digest(files), place=place, version=version)


def _spec(module: str, reference: str) -> ModuleSpec:
    """The specification of where Python would import a module from. The search imports the packages around the
    module."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise InputError(f"{reference}: {what_failed(error, None)}") from error
        spec = None
    except ValueError:  # Some modules, such as __main__, have no specification.
        spec = None
    except (Exception, SystemExit) as error:
        raise InputError(f"{reference}: {what_failed(error, None)}") from error
    if spec is None:
        raise InputError(
            f"{reference}: there is no module {module} in this Python environment; install it, or give the path of "
            f"a file, such as ./{module.rpartition('.')[2]}.py"
        )
    return spec


def _digest(files: Mapping[str, bytes]) -> str:
    """The digest of the content and the names of source files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
