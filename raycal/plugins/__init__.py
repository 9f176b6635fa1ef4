"""Loads extensions from outside the package: modules that a sweep file names under `plugins`, and entry points.

A plug-in is a module that registers extensions when it is imported, exactly as raycal's own modules do. A sweep file
names a plug-in by its import name (`my_module`) or by the path of a `.py` file or package, relative to the sweep file
(`./strategies.py`). Modules that an installed distribution lists as entry points of the group `raycal.plugins` are
imported for every sweep.

Importing a module runs its code. Only modules that the user names in the sweep file or has installed are imported.

The content of a plug-in that is given by its path travels with the sweep, so that every process of a cluster runs the
same text. A plug-in that is given by its name must be installed on every node with the same source. The digest of the
source becomes part of the id of every experiment that uses an extension of the plug-in.
"""

from raycal.plugins.loading import digests_of, load_plugins, loaded_plugins, owner_of
from raycal.plugins.nodes import load_on_node
from raycal.plugins.plugin import Plugin
from raycal.plugins.source import GROUP, MAX_BYTES, find_plugin, installed_plugins

__all__ = [
    "GROUP",
    "MAX_BYTES",
    "Plugin",
    "digests_of",
    "find_plugin",
    "installed_plugins",
    "load_on_node",
    "load_plugins",
    "loaded_plugins",
    "owner_of",
]
