"""Loads extensions from outside the package: modules that a sweep file names under `plugins`, and entry points.

A plug-in is a module that registers extensions when it is imported, exactly as raycal's own modules do. A sweep file
names a plug-in by its import name (`my_module`) or by the path of a `.py` file or package, relative to the sweep file
(`./strategies.py`). Modules that an installed distribution lists as entry points of the group `raycal.plugins` are
imported for every sweep.

Importing a module runs its code. Only modules that the user names in the sweep file or has installed are imported.

The content of a plug-in that is given by its path travels with the sweep, so that every process of a cluster runs the
same text. A plug-in that is given by its name must be installed on every node with the same source. The digest of the
source becomes part of the id of every experiment that uses one of the plug-in's extensions.
"""

import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from raycal.errors import InputError, one_line
from raycal.home import expand_home
from raycal.registry import Registry, module_of

logger = logging.getLogger(__name__)

GROUP = "raycal.plugins"
MAX_BYTES = 16 * 2**20  # largest plug-in that may travel with the sweep
_CODE = (".py", ".so", ".pyd")

Registries = Mapping[str, Registry[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plug-in whose source was found.

    Attributes:
        given: The name or path that the user gave, for messages.
        module: The name by which the plug-in is imported.
        name: The name under which the digest is recorded: the topmost package that holds the module, else the module.
        digest: SHA-256 of the source, in hexadecimal.
        place: The file or folder of the source on this machine.
        version: Version of the installed distribution called `name`. None when there is no such distribution.
        files: Content of a plug-in that is given by its path, by file name relative to the parent folder of `place`.
            Empty for a plug-in that is given by its name.
    """

    given: str
    module: str
    name: str
    digest: str
    place: Path
    version: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)

    def record(self) -> dict[str, str]:
        """The record of the plug-in that is stored with results: its digest, and its version if it has one."""
        version = self.version or getattr(sys.modules.get(self.name), "__version__", None)
        return {**({} if version is None else {"version": str(version)}), "digest": self.digest}


# The plug-ins that are loaded in this process, by name.
_loaded: dict[str, Plugin] = {}
# The name of the plug-in that defined each extension, by the extension's kind and name.
_owners: dict[tuple[str, str], str] = {}
# The modules that this process imported for plug-ins, by the name of the plug-in.
_imported: dict[str, list[str]] = {}


def find_plugin(given: str, folder: Path) -> Plugin:
    """Find a plug-in and read its source, without importing it.

    Args:
        given: An import name, or a path if it has a `/`, begins with `.` or `~`, or ends with `.py`.
        folder: The folder against which a relative path is resolved.

    Raises:
        InputError: The plug-in does not exist, or it cannot be used.
    """
    if "/" in given or given.endswith(".py") or given.startswith(("~", ".")):
        return _at_path(given, folder)
    return _by_name(given, given)


def installed_plugins() -> list[Plugin]:
    """The plug-ins that installed distributions announce as entry points.

    Raises:
        InputError: The module of an entry point cannot be found.
    """
    found: dict[str, Plugin] = {}
    for entry in sorted(metadata.entry_points(group=GROUP)):
        owner = "" if entry.dist is None else f" of {entry.dist.name}"
        plugin = _by_name(entry.module, f"{entry.module} (entry point {entry.name}{owner})")
        version = plugin.version if entry.dist is None else entry.dist.version
        found.setdefault(plugin.module, replace(plugin, version=version))
    return list(found.values())


def load_plugins(plugins: Sequence[Plugin], registries: Registries) -> None:
    """Import exactly these plug-ins, in this order; plug-ins that were loaded before are unloaded first.

    Nothing happens if exactly these plug-ins are loaded already. If one of them has changed, all are imported again, as
    one plug-in may have imported another.

    Args:
        registries: The registries by kind, in which the plug-ins register their extensions.

    Raises:
        InputError: A plug-in cannot be imported, or a name that it registers is taken. The error has a line for each.
    """
    if _loaded.keys() == {plugin.name for plugin in plugins} and _are_loaded(plugins):
        return
    _unload_all(registries)
    problems: list[str] = []
    for plugin in plugins:
        try:
            _load(plugin, plugins, registries)
        except InputError as error:
            problems += error.problems
    if problems:
        _unload_all(registries)
        raise InputError(*problems)


def load_on_node(plugins: Sequence[Plugin], registries: Registries, cache: Path) -> None:
    """Import the plug-ins of a sweep that was started on another machine, from the same source as on that machine.

    Args:
        cache: The folder on this machine into which the content that travels with the sweep is written.

    Raises:
        InputError: A plug-in is not installed on this machine, has another source here, or cannot be imported here.
    """
    if _are_loaded(plugins):
        return
    here: list[Plugin] = []
    problems: list[str] = []
    for plugin in plugins:
        try:
            here.append(_unpacked(plugin, cache) if plugin.files else _same_here(plugin))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    load_plugins(here, registries)


def loaded_plugins() -> Mapping[str, Plugin]:
    """The plug-ins that are loaded in this process, by name."""
    return dict(_loaded)


def digests_of(extensions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The digests of the plug-ins that an experiment with these extensions uses, by the name of the plug-in.

    A file that defines no extension is a helper that other plug-ins may import, so it counts as used with any plug-in.

    Args:
        extensions: The kind and the name of each extension.
    """
    used = {_owners[extension] for extension in extensions if extension in _owners}
    if not used:
        return {}
    helpers = {name for name, plugin in _loaded.items() if plugin.files} - set(_owners.values())
    return {name: _loaded[name].digest for name in sorted(used | helpers)}


def owner_of(kind: str, name: str) -> Plugin | None:
    """The plug-in that defined an extension; None for raycal's own extensions."""
    owner = _owners.get((kind, name))
    return None if owner is None else _loaded[owner]


def _at_path(given: str, folder: Path) -> Plugin:
    """The plug-in at a path, which is a file or the folder of a package."""
    place = Path(os.path.abspath(folder / expand_home(given)))
    if place.is_dir():
        if not (place / "__init__.py").is_file():
            raise InputError(f"{given}: a folder without __init__.py; give a .py file or the folder of a package")
        names = sorted(_below(place))
    elif place.suffix == ".py":
        names = [place.name]
    else:
        raise InputError(f"{given}: should be a .py file or the folder of a package")
    module = place.stem if place.suffix == ".py" else place.name
    if not module.isidentifier():
        raise InputError(f"{given}: cannot be imported by the name {module!r}; rename it to letters, digits and _")
    if taken := _taken_by(module, place):
        raise InputError(f"{given}: {taken} has the name {module}, too; rename the file")
    files: dict[str, bytes] = {}
    for name in names:
        path = place.parent / name
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
            shown = given if path == place else f"{given}: {name}"
            raise InputError(f"{shown}: {what}{f' ({path})' if path == place else ''}") from error
        if sum(map(len, files.values())) > MAX_BYTES:
            raise InputError(f"{given}: more than {MAX_BYTES:,} bytes; install the package and give its import name")
    return Plugin(given=given, module=module, name=module, digest=_digest(files), place=place, files=files)


def _below(package: Path) -> Iterator[str]:
    """The files of a package, relative to its parent folder, without compiled and hidden files."""
    for folder, below, names in os.walk(package):
        below[:] = [name for name in below if name != "__pycache__" and not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.endswith(".pyc"):
                yield Path(folder, name).relative_to(package.parent).as_posix()


def _taken_by(module: str, place: Path) -> str:
    """A description of what else has the name of a module; empty if the source at this place may have the name."""
    if module in _loaded and _loaded[module].files:
        return ""  # the plug-in of an earlier sweep, which will be unloaded
    if module in sys.stdlib_module_names:
        return "a module of Python's standard library"
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        return ""
    own = place / "__init__.py" if place.is_dir() else place
    with suppress(OSError):
        if os.path.samefile(spec.origin, own):
            return ""
    return f"an installed module ({spec.origin})"


def _by_name(module: str, given: str) -> Plugin:
    """The plug-in that can be imported by this name."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise InputError(
            f"{given}: should be the import name of a module, such as my_module, or a path, such as ./my_module.py"
        )
    parts = module.split(".")
    chain = [_spec(".".join(parts[:end]), given) for end in range(1, len(parts) + 1)]
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
        raise InputError(f"{given}: cannot be read: {error}") from error
    return Plugin(given=given, module=module, name=root.name, digest=_digest(files), place=place, version=version)


def _spec(module: str, given: str) -> ModuleSpec:
    """The specification of where Python would import a module from. This imports the packages around the module."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise InputError(f"{given}: {_what_failed(error, None)}") from error
        spec = None
    except ValueError:  # a module without a specification, such as __main__
        spec = None
    except (Exception, SystemExit) as error:
        raise InputError(f"{given}: {_what_failed(error, None)}") from error
    if spec is None:
        raise InputError(
            f"{given}: there is no module {module} in this Python environment; install it, or give the path of a file, "
            f"such as ./{module.rpartition('.')[2]}.py"
        )
    return spec


def _digest(files: Mapping[str, bytes]) -> str:
    """The digest of the content and the names of source files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _load(plugin: Plugin, all_plugins: Sequence[Plugin], registries: Registries) -> None:
    """Import a plug-in and record which extensions it defines; a failure leaves everything unchanged."""
    before = {kind: set(registry) for kind, registry in registries.items()}
    modules = set(sys.modules)
    try:
        _import(plugin)
        for kind, registry in registries.items():
            for name in set(registry) - before[kind]:
                _check_options(plugin, registry, name)
    except InputError:
        for kind, registry in registries.items():
            for name in set(registry) - before[kind]:
                registry.forget(name)
        for module in set(sys.modules) - modules:
            if _is_in(module, plugin.name):
                del sys.modules[module]
        raise
    _imported.setdefault(plugin.name, []).extend(
        module for module in set(sys.modules) - modules if _is_in(module, plugin.name)
    )
    _loaded[plugin.name] = plugin
    known = [each.name for each in all_plugins]
    for kind, registry in registries.items():
        for name in registry:
            # A plug-in may import another one, and it may have been imported before raycal loaded it.
            defined_in = module_of(registry[name])
            owner = next((each for each in known if _is_in(defined_in, each)), None)
            if owner is None and name not in before[kind]:
                owner = plugin.name
            if owner is not None:
                _owners.setdefault((kind, name), owner)


def _import(plugin: Plugin) -> None:
    """Import the module of a plug-in.

    Raises:
        InputError: The module raised an error; the message has the file and line of the error.
    """
    try:
        if not plugin.files:
            importlib.import_module(plugin.module)
        elif plugin.module not in sys.modules:
            _import_files(plugin)
    except (Exception, SystemExit) as error:
        raise InputError(f"{plugin.given}: {_what_failed(error, plugin)}") from error


def _import_files(plugin: Plugin) -> None:
    """Import a plug-in that is given by its path."""
    is_package = f"{plugin.module}.py" not in plugin.files
    first = f"{plugin.module}/__init__.py" if is_package else f"{plugin.module}.py"
    place = plugin.place / "__init__.py" if is_package else plugin.place
    spec = importlib.util.spec_from_file_location(
        plugin.module,
        place,
        loader=_Loader(plugin.module, str(place), plugin.files[first]),
        submodule_search_locations=[str(plugin.place)] if is_package else None,
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[plugin.module] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(plugin.module, None)
        raise


class _Loader(SourceFileLoader):
    """A loader that runs exactly the text whose digest is recorded, and never a compiled file of an earlier text."""

    def __init__(self, module: str, path: str, source: bytes) -> None:
        super().__init__(module, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType | None:
        code: CodeType = self.source_to_code(self._source, self.path)
        return code


def _check_options(plugin: Plugin, registry: Registry[Any], name: str) -> None:
    """Raise an InputError if the options of an extension cannot be read."""
    try:
        registry.options(name)
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{plugin.given}: the {registry.kind} {name!r}: its options cannot be read: {what}") from error


def _are_loaded(plugins: Iterable[Plugin]) -> bool:
    digests = {name: plugin.digest for name, plugin in _loaded.items()}
    return all(digests.get(plugin.name) == plugin.digest and plugin.module in sys.modules for plugin in plugins)


def _unload_all(registries: Registries) -> None:
    for name in tuple(_loaded):
        _unload(name, registries)


def _unload(name: str, registries: Registries) -> None:
    """Remove the extensions and modules of a plug-in. A module that other code imported stays, with its extensions."""
    imported = _imported.pop(name, [])
    for (kind, entry), owner in tuple(_owners.items()):
        if owner == name:
            del _owners[kind, entry]
            registry = registries[kind]
            if not imported or entry not in registry:
                continue
            defined_in = module_of(registry[entry])
            if defined_in in imported or not _is_in(defined_in, name):
                registry.forget(entry)
    for module in imported:
        sys.modules.pop(module, None)
    del _loaded[name]


def _unpacked(plugin: Plugin, cache: Path) -> Plugin:
    """The plug-in with its content written to the cache, or to a temporary folder if the cache is not writable."""
    try:
        folder = cache / plugin.digest[:16]
        _put_down(plugin.files, folder)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="raycal-plugin-"))
        logger.warning("%s cannot be written (%s): plug-ins are put into %s", cache, error, folder)
        _put_down(plugin.files, folder)
    return replace(plugin, place=folder / Path(next(iter(plugin.files))).parts[0])


def _put_down(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(content)
        os.replace(file.name, path)


def _same_here(plugin: Plugin) -> Plugin:
    """The plug-in installed on this machine; its source must equal that on the machine where the sweep was started."""
    here = _by_name(plugin.module, plugin.given)
    if here.digest != plugin.digest:
        raise InputError(
            f"{plugin.given}: its source on this node ({here.place}) differs from that on the "
            "machine where the sweep was started; "
            "install the same version"
        )
    return here


def _what_failed(error: BaseException, plugin: Plugin | None) -> str:
    """An error during an import, as one line: the file and line of the plug-in in which it happened, and the error."""
    words = f"{type(error).__name__}: {one_line(error)}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [
        (name, line)
        for name, line in frames
        if plugin is not None and Path(name).is_relative_to(plugin.place.resolve())
    ] or [(name, line) for name, line in frames if plugin is not None and Path(name).is_relative_to(plugin.place)]
    foreign = [(name, line) for name, line in frames if not name.startswith("<") and name != __file__]
    for name, line in reversed(own or foreign):
        return f"{name}:{line}: {words}"
    return words


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
