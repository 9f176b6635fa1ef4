"""The record of a plug-in, the plug-ins that are loaded, and the words for an error that a plug-in raised."""

import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raycal.errors import one_line

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plug-in whose source was found.

    Attributes:
        given: The name or path that the user gave, for messages.
        module: The name by which the plug-in is imported.
        name: The name under which the digest is recorded: the topmost package that contains the module or, without a
            package, the module.
        digest: SHA-256 of the source, in hexadecimal.
        place: The file or folder of the source on this machine.
        version: Version of the installed distribution called `name`. None if there is no such distribution.
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
LOADED: dict[str, Plugin] = {}


def what_failed(error: BaseException, plugin: Plugin | None) -> str:
    """An error during an import, as one line: the file and line of the plug-in in which it happened, and the error."""
    words = f"{type(error).__name__}: {one_line(error)}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    in_plugin = [
        (name, line)
        for name, line in frames
        if plugin is not None and Path(name).is_relative_to(plugin.place.resolve())
    ] or [(name, line) for name, line in frames if plugin is not None and Path(name).is_relative_to(plugin.place)]
    foreign = [(name, line) for name, line in frames if not name.startswith("<") and Path(name).parent != _PACKAGE]
    for name, line in reversed(in_plugin or foreign):
        return f"{name}:{line}: {words}"
    return words
