"""Loads the plug-ins of a sweep on a node, from the source with which the sweep was started."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raycal.errors import InputError
from raycal.plugins.loading import Registries, are_loaded, load_plugins
from raycal.plugins.plugin import Plugin
from raycal.plugins.source import by_name

logger = logging.getLogger(__name__)


def load_on_node(plugins: Sequence[Plugin], registries: Registries, cache: Path) -> None:
    """Import the plug-ins of a sweep that was started on another machine, from the same source as on that machine.

    Args:
        cache: The folder on this machine into which the content that travels with the sweep is written.

    Raises:
        InputError: A plug-in is not installed on this machine, has another source here, or cannot be imported here.
    """
    if are_loaded(plugins):
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
    """The plug-in installed on this machine; its source must equal the source on the machine where the sweep was
    started."""
    here = by_name(plugin.module, plugin.given)
    if here.digest != plugin.digest:
        raise InputError(
            f"{plugin.given}: its source on this node ({here.place}) differs from that on the "
            "machine where the sweep was started; "
            "install the same version"
        )
    return here
