"""Imports plug-ins into this process, and records which extensions they define."""

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

from raycal.errors import InputError, one_line
from raycal.plugins.plugin import LOADED, Plugin, what_failed
from raycal.registry import Registry, module_of

Registries = Mapping[str, Registry[Any]]

# The name of the plug-in that defined each extension, by the extension's kind and name.
_owners: dict[tuple[str, str], str] = {}
# The modules that this process imported for plug-ins, by the name of the plug-in.
_imported: dict[str, list[str]] = {}


def load_plugins(plugins: Sequence[Plugin], registries: Registries) -> None:
    """Import exactly these plug-ins, in this order; plug-ins that were loaded before are unloaded first.

    Nothing happens if exactly these plug-ins are loaded already. If a plug-in has changed, all plug-ins are imported
    again, because one plug-in may have imported another.

    Args:
        registries: The registries by kind, in which the plug-ins register their extensions.

    Raises:
        InputError: A plug-in cannot be imported, or a name that it registers is taken. The error has one line per
            problem.
    """
    if LOADED.keys() == {plugin.name for plugin in plugins} and are_loaded(plugins):
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


def loaded_plugins() -> Mapping[str, Plugin]:
    """The plug-ins that are loaded in this process, by name."""
    return dict(LOADED)


def digests_of(extensions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The digests of the plug-ins that an experiment with these extensions uses, by the name of the plug-in.

    A file that defines no extension is a helper that other plug-ins may import, so it counts as used with any plug-in.

    Args:
        extensions: The kind and the name of each extension.
    """
    used = {owner for kind, name in extensions if (owner := _owner(kind, name)) is not None}
    if not used:
        return {}
    helpers = {name for name, plugin in LOADED.items() if plugin.files} - set(_owners.values())
    return {name: LOADED[name].digest for name in sorted(used | helpers)}


def owner_of(kind: str, name: str) -> Plugin | None:
    """The plug-in that defined an extension; None if the extension is raycal's own."""
    owner = _owner(kind, name)
    return None if owner is None else LOADED[owner]


def _owner(kind: str, name: str) -> str | None:
    """The name of the plug-in that defined an extension or, for a name such as `family/rest`, that defined the
    family.
    """
    family, slash, _ = name.partition("/")
    return _owners.get((kind, family + slash))


def _load(plugin: Plugin, all_plugins: Sequence[Plugin], registries: Registries) -> None:
    """Import a plug-in and record which extensions it defines; a failure leaves everything unchanged."""
    before = {kind: set(registry.registered()) for kind, registry in registries.items()}
    modules = set(sys.modules)
    try:
        _import(plugin)
        for kind, registry in registries.items():
            for name in set(registry.registered()) - before[kind]:
                if name in registry:  # the options of a family depend on the network that is asked for
                    _check_options(plugin, registry, name)
    except InputError:
        for kind, registry in registries.items():
            for name in set(registry.registered()) - before[kind]:
                registry.forget(name)
        for module in set(sys.modules) - modules:
            if _is_in(module, plugin.name):
                del sys.modules[module]
        raise
    _imported.setdefault(plugin.name, []).extend(
        module for module in set(sys.modules) - modules if _is_in(module, plugin.name)
    )
    LOADED[plugin.name] = plugin
    known = [each.name for each in all_plugins]
    for kind, registry in registries.items():
        for name in registry.registered():
            # The module may be in use already: a plug-in may import another plug-in, and user code may import a plug-in
            # before raycal loads it.
            defined_in = module_of(registry.definition(name))
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
        raise InputError(f"{plugin.given}: {what_failed(error, plugin)}") from error


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


def are_loaded(plugins: Iterable[Plugin]) -> bool:
    """Whether exactly these plug-ins are loaded, with the same source."""
    digests = {name: plugin.digest for name, plugin in LOADED.items()}
    return all(digests.get(plugin.name) == plugin.digest and plugin.module in sys.modules for plugin in plugins)


def _unload_all(registries: Registries) -> None:
    for name in tuple(LOADED):
        _unload(name, registries)


def _unload(name: str, registries: Registries) -> None:
    """Remove the extensions and modules of a plug-in. A module that other code imported stays, with its extensions."""
    imported = _imported.pop(name, [])
    for (kind, entry), owner in tuple(_owners.items()):
        if owner == name:
            del _owners[kind, entry]
            registry = registries[kind]
            if not imported or entry not in set(registry.registered()):
                continue
            defined_in = module_of(registry.definition(entry))
            if defined_in in imported or not _is_in(defined_in, name):
                registry.forget(entry)
    for module in imported:
        sys.modules.pop(module, None)
    del LOADED[name]


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
