"""Records, for every run, what a result depends on besides the configuration."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raycal import __version__
from raycal.data import LoadedDataset
from raycal.data.manifest import Manifest
from raycal.storage.seal import digest_of

GIT_SECONDS = 5.0
SHORT = 16  # the number of hexadecimal digits of a digest that people may read


def environment(
    loaded: LoadedDataset,
    manifest: Manifest,
    device_settings: dict[str, Any],
    num_workers: int,
    *,
    weights: str | None = None,
    features: str | None = None,
    libraries: Sequence[str] = (),
    plugins: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """The content of `environment.json`: the versions, the machine, the data and the weights.

    The key `git` is missing outside a git working tree, `weights` if the weights were drawn at random, `features` if
    there are no weights of a separate feature model, and `plugins` if no plug-in is used. If a library such as timm
    builds a network, its name is a key, too, with its version as the value.
    """
    commit, digests = git_commit(Path(__file__).parent), manifest.digest
    return {
        "raycal": __version__,
        **({} if commit is None else {"git": commit}),
        "python": platform.python_version(),
        "machine": platform.machine(),
        **device_settings,
        "workers": num_workers,
        **dict(library.split(" ", 1) for library in libraries if library),
        **({} if weights is None else {"weights": weights[:SHORT]}),
        **({} if features is None else {"features": features[:SHORT]}),
        **({"plugins": dict(plugins)} if plugins else {}),
        "dataset": {
            "digest": digest_of(f"{digests.train} {digests.test}".encode())[:SHORT],
            **{name: digest[:SHORT] for name, digest in digests._asdict().items()},
            **({} if loaded.kind == "images" else {"kind": loaded.kind}),
            "num_train": loaded.num_train,
            "num_test": loaded.num_test,
            "num_classes": loaded.num_classes,
            "num_listed": manifest.num_listed,
            **({"left_out": list(loaded.left_out)} if loaded.left_out else {}),
        },
    }


def git_commit(folder: Path) -> str | None:
    """The commit of the working tree around a folder, with `-dirty` when files were changed; None if the folder is in
    no working tree."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=GIT_SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
