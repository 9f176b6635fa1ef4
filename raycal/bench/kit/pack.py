"""`python -m raycal.bench.kit.pack FOLDER`: fills the folder that goes to the machine together with the repository."""

import argparse
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NoReturn

from raycal.bench.kit.packages import WHEELS
from raycal.errors import InputError
from raycal.home import expand_home
from raycal.output import run as run_command_line

OK, FAILED, INPUT_ERROR = 0, 1, 2
MOST_BYTES = 60_000_000
SITE, IMAGES, WEIGHTS = "site.tar.xz", "images.tar.xz", "weights.pth"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# Machine code compresses better if the relative addresses of its jumps are made absolute first.
FILTERS = ({"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m raycal.bench.kit.pack",
        description=f"Fill a folder of at most {MOST_BYTES / 1e6:.0f} MB with what the kit needs besides the code.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=lambda place: Path(expand_home(place)))
    parser.add_argument("--images", metavar="TAR", help="an archive of .../train/CLASS/FILE and .../test/CLASS/FILE")
    parser.add_argument("--train", metavar="N", type=int, help="take the first N training images of a class, by name")
    parser.add_argument("--test", metavar="N", type=int, help="take the first N test images of a class, by name")
    parser.add_argument("--weights", metavar="FILE")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return _pack(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return INPUT_ERROR


def run() -> NoReturn:
    """Run this process's command line and end the process."""
    run_command_line(main)


def _pack(options: argparse.Namespace) -> int:
    missing = [place for place in (options.images, options.weights) if place and not Path(place).is_file()]
    if missing:
        raise InputError(*(f"{place}: no such file" for place in missing))
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    pack_site(folder / SITE, _install)
    if options.images:
        most = {"train": options.train, "test": options.test}
        counts = pack_images(Path(options.images), folder / IMAGES, most)
        print(f"images: {counts['train']:,} training, {counts['test']:,} test")
    if options.weights:
        shutil.copyfile(options.weights, folder / WEIGHTS)
    return OK if print_sizes(folder) <= MOST_BYTES else FAILED


def print_sizes(folder: Path) -> int:
    """Print each file with its size and return the total size in bytes."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    for name, size in [*sizes.items(), ("total", sum(sizes.values()))]:
        print(f"{size / 1e6:6.1f} MB  {name}")
    if sum(sizes.values()) > MOST_BYTES:
        print(f"more than {MOST_BYTES / 1e6:.0f} MB: take fewer images with --train and --test", file=sys.stderr)
    return sum(sizes.values())


def pack_site(target: Path, install: Callable[[Path], None]) -> None:
    """Pack the installed wheels, which take far less space than the wheels themselves.

    Args:
        install: Installs the packages into a folder.
    """
    with TemporaryDirectory() as place:
        site = Path(place)
        install(site)
        with lzma.open(target, "wb", filters=FILTERS) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for path in sorted(site.iterdir()):
                if path.name != "bin":
                    archive.add(path, path.name, filter=_needed)


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member to pack; None for headers and for the file that would hide the machine's own CUDA packages."""
    is_left_out = "include" in PurePosixPath(member.name).parts or member.name == "nvidia/__init__.py"
    return None if is_left_out else member


def pack_images(source: Path, target: Path, most: dict[str, int | None]) -> Counter[str]:
    """Pack the first images of each class, in the order of their names, and return their number in each split.

    Args:
        most: The largest number of images per class in each split. None means all images.

    Raises:
        InputError: The archive has no images.
    """
    with tarfile.open(source) as archive:
        # The archive is read once from front to back, because seeking back in a compressed archive unpacks it again.
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        data = {name: file.read() for name, file in files.items() if file is not None}
    num_packed: Counter[tuple[str, str]] = Counter()
    counts: Counter[str] = Counter()
    with tarfile.open(target, "w:xz", preset=1) as packed:
        for name in sorted(data):
            split, label = PurePosixPath(name).parts[-3:-1]
            limit = most.get(split)
            if split not in most or (limit is not None and num_packed[split, label] >= limit):
                continue
            num_packed[split, label] += 1
            counts[split] += 1
            member = tarfile.TarInfo(name)
            member.size = len(data[name])
            packed.addfile(member, io.BytesIO(data[name]))
    if not counts:
        raise InputError(f"{source}: should have .../train/CLASS/FILE and .../test/CLASS/FILE")
    return counts


def _install(folder: Path) -> None:
    """Install the wheels into a folder with pip.

    Raises:
        InputError: pip failed.
    """
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    kind = ["--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp", *platforms]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", *kind]
    done = subprocess.run([*command, "--target", str(folder), "-r", str(WHEELS)], check=False)
    if done.returncode:
        raise InputError("pip could not install the wheels of wheels.txt; see its lines above")


if __name__ == "__main__":
    run()
