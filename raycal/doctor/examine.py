"""Runs all checks, one after the other, each with a time limit."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from raycal.capacity.machine import this_machine
from raycal.config import Sweep, load_sweep
from raycal.data.cache import cache_dir
from raycal.doctor.check_result import CheckResult, ok, problem, warning, within
from raycal.doctor.cluster import NO_CLUSTER, judge_cluster
from raycal.doctor.machine import (
    check_compiler,
    check_disk,
    check_faiss,
    check_open_files,
    check_shared_memory,
    check_torch,
    check_writable,
)
from raycal.doctor.versions import check_versions
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.downloads import downloads
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir
from raycal.sweep.preflight import check, check_apart
from raycal.tracking import tracking_uri
from raycal.tracking.reach import no_answer, reach
from raycal.tracking.uri import is_server, without_secrets

SECONDS = 5.0
# Importing torch or Ray, and connecting to Ray, can take long on a busy machine.
LONG_SECONDS = 60.0


def examine(
    sweep_file: str | None, storage: str, address: str | None, overrides: Sequence[str] = ()
) -> Iterator[CheckResult]:
    """Check everything that a sweep needs.

    Args:
        sweep_file: The sweep file. None means that only this machine and the Ray cluster are checked.
        storage: The storage of the sweep, in a form that `Folder.at` accepts.
        address: The address of the Ray cluster, in a form that `ray.init` accepts.
        overrides: Settings of the form `KEY=VALUE` that replace the settings of the sweep file.

    Raises:
        InputError: The sweep file, an override or the storage cannot be used.
    """
    if sweep_file is None and overrides:
        raise InputError(*(f"--set {override}: changes a sweep file; name one" for override in overrides))
    sweep = None if sweep_file is None else load_sweep(sweep_file, build.REGISTRIES, overrides=overrides)
    folder = Folder.at(storage)
    gpus = int(this_machine().gpus)
    yield from within("versions", SECONDS, check_versions)
    yield from within("gpu (torch)", LONG_SECONDS, lambda: [_torch(gpus)])
    yield from within("compiler", SECONDS, lambda: check_compiler(gpus))
    yield from within("faiss", LONG_SECONDS, lambda: check_faiss(gpus))
    yield from within("cache", SECONDS, lambda: [check_disk("cache", cache_dir())])
    if folder.is_local:
        yield from within("disk", SECONDS, lambda: [check_disk("disk", Path(folder.path))])
    yield from within("shm", SECONDS, lambda: [check_shared_memory()])
    yield from within("ulimit", SECONDS, lambda: [check_open_files()])
    yield from within("ray cluster", LONG_SECONDS, lambda: _cluster(address, folder, gpus, sweep))
    yield from within("tracking", 2 * SECONDS, lambda: [_tracking(sweep, folder)])
    if sweep is not None:
        yield from within("sweep", LONG_SECONDS, lambda: _data(sweep, folder))


def _torch(gpus: int) -> CheckResult:
    from raycal.learner.device import gpu_names

    return check_torch(gpus, gpu_names())


def _cluster(address: str | None, folder: Folder, gpus: int, sweep: Sweep | None) -> Iterator[CheckResult]:
    from raycal.distributed.address import find_cluster
    from raycal.distributed.temp_folder import check_ray_folder

    ray_address = find_cluster(address)
    if ray_address is None:
        check_ray_folder()
        yield ok("ray cluster", NO_CLUSTER)
        if folder.is_local:
            yield check_writable(Path(folder.path))
            return
        mark = ".raycal-doctor"
        folder.write(mark, b"")
        folder.remove(mark)
        yield ok("storage", f"{folder.uri} can be written from here")
        return
    from raycal.distributed.survey import survey

    server = _tracking_server(sweep, folder)
    shown = None if server is None else without_secrets(server)
    yield from judge_cluster(ray_address, survey(ray_address, folder.uri, server), folder.uri, gpus, shown)
    if sweep is not None and sweep.plugins:
        yield from _plugins(ray_address, sweep)


def _plugins(address: str, sweep: Sweep) -> Iterator[CheckResult]:
    """Check whether every node of the Ray cluster can import the plug-ins of the sweep."""
    from raycal.distributed.plugins_on_nodes import check_plugins
    from raycal.distributed.session import visit

    with visit(address):
        try:
            check_plugins(sweep.plugins)
        except InputError as error:
            for line in error.problems:
                yield problem("plug-ins", line, "install the same on every node")
            return
    yield ok("plug-ins", "every node of the cluster can import the plug-ins")


def _tracking_server(sweep: Sweep | None, folder: Folder) -> str | None:
    """The URI of the tracking server. None if there is no server; the check of the tracking reports this."""
    try:
        uri = _tracking_uri(sweep, folder)
    except InputError:
        return None
    return uri if is_server(uri) else None


def _tracking_uri(sweep: Sweep | None, folder: Folder) -> str:
    configured = None if sweep is None else sweep.tracking.uri
    return tracking_uri(configured, SweepDir(folder.folder("sweep" if sweep is None else sweep.name)))


def _tracking(sweep: Sweep | None, folder: Folder) -> CheckResult:
    uri = _tracking_uri(sweep, folder)
    return ok("tracking", f"{reach(uri, SECONDS)}; only the sweep's own process sends to it")


def _data(sweep: Sweep, folder: Folder) -> Iterator[CheckResult]:
    experiments = sweep.experiments or sweep.examples
    infos = check(experiments)
    for plugin in sweep.plugins:
        yield ok("plug-in", f"{plugin.given}: digest {plugin.digest[:12]}")
    for note in sweep.notes:
        yield warning("sweep", note, "")
    yield ok("sweep", f"{sweep.name}: the datasets and weights that are on this machine are valid")
    if any(info.folder is not None for info in infos.values()):
        yield ok(
            "images", "the doctor counts images by their file names, without decoding them; a sweep decodes all images"
        )
    for shown, info in {str(info): info for info in infos.values()}.items():
        yield ok(info.kind, shown)
        for note in (*info.notes, *info.warnings):
            yield warning(info.kind, f"{info.name}: {note}", "")
    for one in downloads(experiments.values(), infos):
        why = no_answer(one.url, SECONDS)
        if why:
            found = f"{one.what}: is not on this machine, and {one.host} does not answer ({why})"
            yield problem("download", found, one.instead)
        else:
            yield ok("download", str(one))
    check_apart(infos.values(), folder)
