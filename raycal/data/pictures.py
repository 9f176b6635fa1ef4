"""Makes pictures of the images of a dataset, for people to look at: thumbnails, large pictures, and the squares that
the model sees.

A picture is decoded from the original file, under the limits of `raycal.data.one_image`, and encoded again. So it has
none of the file's metadata, and no original file is ever sent to a browser. Images that did not come from one file each
are taken from the array of the dataset.

Thumbnails of files are kept in the cache, in one file that is only ever appended to, with their offsets in a second
file. An entry counts only if its checksum is right, so unfinished entries of killed processes do no harm. If these two
files are lost, they are made again.
"""

import hashlib
import json
import logging
import os
import stat
import sys
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, BytesIO
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raycal.data.cache import cache_dir, evict
from raycal.data.content import DIGEST_BYTES, Digests
from raycal.data.decode import NUM_THREADS
from raycal.data.image_dataset import ImageDataset
from raycal.data.one_image import large_images_may_be_opened, whole_image
from raycal.data.places import FilePlace
from raycal.errors import RaycalError, printable

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)

# The longer side of a picture has at most the first number of pixels. A small image is enlarged until its longer side
# has at least the second number.
THUMBNAIL, SMALLEST_THUMBNAIL = 160, 96
FULL, SMALLEST_FULL = 1600, 480
THUMBNAIL_QUALITY, FULL_QUALITY = 80, 88

FOLDER, FORMAT_VERSION = "thumbnails", 1
PICTURES, OFFSETS = "pictures", "offsets"
MAX_CACHE_BYTES = 16 * 2**30  # this is the limit for the thumbnails of all datasets together
ENTRY = np.dtype([("digest", "u1", DIGEST_BYTES), ("begin", "<u8"), ("length", "<u4"), ("checksum", "<u4")])
LOWEST_PRIORITY = 19


class PictureUnavailableError(RaycalError):
    """A picture cannot be shown now, because its file is missing, has changed or cannot be read.

    Args:
        message: The reason, in one line.
        row: The row of the image.
        folder_is_gone: Whether the whole folder of the images cannot be reached, such as a disk that is not mounted.
    """

    def __init__(self, message: str, *, row: int, folder_is_gone: bool = False) -> None:
        super().__init__(printable(message))
        self.row, self.folder_is_gone = row, folder_is_gone


def media_type(picture: bytes) -> str:
    """The media type of a picture that this module made."""
    return "image/jpeg" if picture.startswith(b"\xff\xd8") else "image/webp"


class Pictures:
    """The pictures of a dataset. All methods may be called from several threads at once.

    Args:
        dataset: The images.
        root: The folder, or another place, that the files of the dataset are in. None means that the pictures are made
            from the array.
        cache: The folder for the thumbnails. None means the cache folder of raycal, in which the least recently used
            thumbnails are removed if all thumbnails together take more than 16 GiB.
    """

    def __init__(self, dataset: ImageDataset, root: FilePlace | None = None, cache: Path | None = None) -> None:
        from PIL import Image

        Image.init()  # not safe in several threads at once
        self._dataset, self._root = dataset, root
        self._source = None if root is None else dataset.source
        self._exit = ExitStack()
        self._pack: _ThumbnailPack | None = None
        if self._source is not None:
            folder = (cache or cache_dir()) / FOLDER / _folder_name(str(root))
            self._pack = self._exit.enter_context(_ThumbnailPack(folder, self._source.digests))
            if cache is None:
                evict(FOLDER, keep_bytes=MAX_CACHE_BYTES)
        self._exit.enter_context(large_images_may_be_opened())
        # The background preparation of thumbnails takes only some of these slots, so that a person never waits for it.
        self._places = threading.BoundedSemaphore(NUM_THREADS + 1)
        self._num_preparing, self._most_preparing = 0, max(1, NUM_THREADS - 1)
        self._changed = threading.Condition()
        self._in_work: dict[int, Future[bytes]] = {}
        self._waiting: deque[Iterator[int]] = deque()

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the preparation of thumbnails, and close the files."""
        with self._changed:
            self._waiting.clear()
            self._changed.wait_for(lambda: not self._num_preparing and not self._in_work)
        self._exit.close()

    def thumbnail(self, row: int) -> bytes:
        """The whole image within 160 x 160 pixels, as WebP. An image whose longer side has less than 96 pixels is
        enlarged.

        A thumbnail that is in the cache is returned even if the file of the image is missing.

        Raises:
            PictureUnavailableError: The file of the image cannot be shown now.
            IndexError: There is no such row.
        """
        self._check(row)
        kept = None if self._pack is None else self._pack.read(row)
        if kept is not None:
            return kept
        with self._changed:
            future = self._in_work.get(row)
            is_own = future is None
            if future is None:
                future = self._in_work[row] = Future()
        if is_own:
            self._make_thumbnail(row, future)
        return future.result()

    def full(self, row: int) -> bytes:
        """The whole image within 1,600 x 1,600 pixels, as JPEG. An image whose longer side has less than 480 pixels is
        enlarged, and its picture is WebP instead; see `media_type`.

        Raises:
            PictureUnavailableError: The file of the image cannot be shown now.
            IndexError: There is no such row.
        """
        self._check(row)
        with self._places:
            image = self._whole(row, FULL)
            enlarged = _enlarged(image, SMALLEST_FULL, FULL)
            if enlarged is not image:
                return _webp(enlarged, None)
            out = BytesIO()
            image.save(out, "JPEG", quality=FULL_QUALITY)
            return out.getvalue()

    def model(self, row: int) -> bytes:
        """The stored square that the model sees, as WebP with exactly these pixels.

        Raises:
            IndexError: There is no such row.
        """
        self._check(row)
        with self._places:
            return _webp(self._stored(row), None)

    def prepare(self, rows: Iterable[int]) -> None:
        """Make the thumbnails of these rows in the background, in this order, with the lowest priority.

        Rows of a later call come before the rows of earlier calls that still wait. A thumbnail whose file cannot be
        read is left out. The method returns at once; it does nothing if thumbnails are not kept.
        """
        if self._pack is None or not self._pack.can_write:
            return
        waiting = np.fromiter(rows, np.int64)
        with self._changed:
            self._waiting.appendleft(iter(waiting.tolist()))
            num_new = min(self._most_preparing - self._num_preparing, len(waiting))
            self._num_preparing += num_new
        for _ in range(num_new):
            threading.Thread(target=self._prepare, name="raycal thumbnails", daemon=True).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all thumbnails are prepared. Return False if they are not after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._num_preparing, timeout)

    @property
    def num_kept(self) -> int:
        """The number of rows whose thumbnail is in the cache."""
        return 0 if self._pack is None else self._pack.num_kept

    def _check(self, row: int) -> None:
        if not 0 <= row < len(self._dataset.images):
            raise IndexError(f"there is no image {row}")

    def _prepare(self) -> None:
        """Make the thumbnails of all waiting rows."""
        _take_lowest_priority()
        try:
            while (row := self._next_waiting()) is not None:
                with suppress(PictureUnavailableError, IndexError):
                    self.thumbnail(row)
        finally:
            with self._changed:
                self._num_preparing -= 1
                self._changed.notify_all()

    def _next_waiting(self) -> int | None:
        with self._changed:
            while self._waiting and self._pack is not None and self._pack.can_write:
                row = next(self._waiting[0], None)
                if row is None:
                    self._waiting.popleft()
                elif row not in self._in_work and not self._pack.has(row):
                    return row
        return None

    def _make_thumbnail(self, row: int, future: "Future[bytes]") -> None:
        """Make a thumbnail, keep it, and give it to all threads that wait for it."""
        try:
            with self._places:
                image = self._whole(row, THUMBNAIL)
                enlarged = _enlarged(image, SMALLEST_THUMBNAIL, THUMBNAIL)
                picture = _webp(enlarged, THUMBNAIL_QUALITY if enlarged is image else None)
            if self._pack is not None:
                self._pack.append(row, picture)
            future.set_result(picture)
        except BaseException as error:
            future.set_exception(error)
        finally:
            with self._changed:
                del self._in_work[row]
                self._changed.notify_all()

    def _whole(self, row: int, side: int) -> "Image":
        """The whole, upright image. If its longer side exceeds `side`, the image is reduced to that length."""
        if self._source is None or self._root is None:
            return self._stored(row)
        path = self._root / self._source.names[row]
        try:
            with _regular_file(path) as file:
                if hashlib.file_digest(file, "sha256").digest()[:DIGEST_BYTES] != self._source.digests[row].tobytes():
                    raise PictureUnavailableError(f"{path}: has changed; put the original file back", row=row)
                file.seek(0)
                image = whole_image(file, side=side)
        except (OSError, ValueError) as error:
            raise self._unavailable(row, path, error) from error
        if isinstance(image, str):
            raise PictureUnavailableError(f"{path}: {image}", row=row)
        return image

    def _unavailable(self, row: int, path: Path, error: Exception) -> PictureUnavailableError:
        reason = (isinstance(error, OSError) and error.strerror) or error
        if isinstance(self._root, Path) and _is_gone(self._root):
            return PictureUnavailableError(
                f"the folder {self._root} is not reachable ({reason})", row=row, folder_is_gone=True
            )
        return PictureUnavailableError(f"{path}: {reason}; put the file back", row=row)

    def _stored(self, row: int) -> "Image":
        from PIL import Image

        return Image.fromarray(np.ascontiguousarray(self._dataset.images[row]))


class _ThumbnailPack:
    """Thumbnails by row, in two files that several processes may append to.

    The first file has the pictures one after another. The second file has an entry of the type `ENTRY` for each
    picture. The entry is written after the picture. A picture is found by the digest of the file that it was made from,
    so the order of the images may change. If the folder cannot be written, nothing is kept.
    """

    def __init__(self, folder: Path, digests: Digests) -> None:
        self._digests, self._folder = digests, folder
        self._begins = np.full(len(digests), -1, np.int64)
        self._lengths, self._checksums = np.zeros((2, len(digests)), np.uint32)
        self._lock = threading.Lock()
        self._files: list[int] = []
        self.can_write = True
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (PICTURES, OFFSETS):
                self._files.append(os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666))
            with suppress(OSError):
                os.utime(folder)  # `evict` removes the folders with the oldest times
            self._find()
        except OSError as error:
            self._stop_writing(error)

    def __enter__(self) -> "_ThumbnailPack":
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self.can_write = False
            self._begins[:] = -1
            for file in self._files:
                os.close(file)
            self._files = []

    @property
    def num_kept(self) -> int:
        """The number of rows that have a picture."""
        return int((self._begins >= 0).sum())

    def has(self, row: int) -> bool:
        """Whether there is a picture of a row."""
        return 0 <= row < len(self._begins) and bool(self._begins[row] >= 0)

    def read(self, row: int) -> bytes | None:
        """The picture of a row; None if there is no picture or it is damaged."""
        begin, length = int(self._begins[row]), int(self._lengths[row])
        if begin < 0:
            return None
        picture = b""
        with suppress(OSError, IndexError):  # another thread may have just closed the files
            picture = os.pread(self._files[0], length, begin)
        if self._checksum(row, picture) == self._checksums[row]:
            return picture
        self._begins[row] = -1
        return None

    def append(self, row: int, picture: bytes) -> None:
        """Keep the picture of a row, unless the files cannot be written."""
        import fcntl

        with self._lock:
            if not self.can_write:
                return
            pictures, offsets = self._files
            try:
                fcntl.flock(offsets, fcntl.LOCK_EX)
                try:
                    self._write(row, picture, pictures, offsets)
                finally:
                    fcntl.flock(offsets, fcntl.LOCK_UN)
            except OSError as error:
                self._stop_writing(error)

    def _write(self, row: int, picture: bytes, pictures: int, offsets: int) -> None:
        begin, end = os.lseek(pictures, 0, os.SEEK_END), os.lseek(offsets, 0, os.SEEK_END)
        if torn := end % ENTRY.itemsize:  # a killed process has left a part of an entry
            os.ftruncate(offsets, end - torn)
        checksum = self._checksum(row, picture)
        entry = np.array((self._digests[row], begin, len(picture), checksum), ENTRY)
        try:
            _write_all(pictures, picture)
            _write_all(offsets, entry.tobytes())
        except OSError:
            with suppress(OSError):  # remove what was written only in part
                os.ftruncate(offsets, end - torn)
                os.ftruncate(pictures, begin)
            raise
        self._lengths[row], self._checksums[row] = len(picture), checksum
        self._begins[row] = begin  # set last, because another thread may read this entry at any moment

    def _find(self) -> None:
        """Read the entries of the second file, and note which of the kept pictures belongs to each row."""
        size = os.fstat(self._files[0]).st_size
        content = (self._folder / OFFSETS).read_bytes()
        entries = np.frombuffer(content[: len(content) // ENTRY.itemsize * ENTRY.itemsize], ENTRY)
        begins, lengths = entries["begin"].astype(np.float64), entries["length"]
        whole = np.flatnonzero((lengths > 0) & (begins + lengths <= size))
        place = {entries["digest"][entry].tobytes(): entry for entry in whole.tolist()}
        for row, digest in enumerate(self._digests):
            entry = place.get(digest.tobytes())
            if entry is not None:
                self._begins[row] = entries["begin"][entry]
                self._lengths[row], self._checksums[row] = lengths[entry], entries["checksum"][entry]

    def _checksum(self, row: int, picture: bytes) -> int:
        return zlib.crc32(picture, zlib.crc32(self._digests[row].tobytes()))

    def _stop_writing(self, error: OSError) -> None:
        self.can_write = False
        logger.warning(
            "%s: cannot keep thumbnails (%s); they are made each time", self._folder, error.strerror or error
        )


@contextmanager
def _regular_file(path: Path) -> Iterator[BufferedReader]:
    """Open a file for reading. Anything but a regular file is refused, because opening a pipe could wait forever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "not a file")
        yield file


def _is_gone(root: Path) -> bool:
    """Whether a folder cannot be read or is empty, like the mount point of a disk that is not mounted."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def _enlarged(image: "Image", smallest: int, side: int) -> "Image":
    """The image, enlarged without smoothing if its longer side is shorter than `smallest`. It never exceeds `side`."""
    from PIL.Image import Resampling

    longer = max(image.size)
    if longer >= smallest:
        return image
    factor = ceil(smallest / longer)  # the factor is a whole number, so that all pixels become squares of one size
    scale = factor if factor * longer <= side else side / longer
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Resampling.NEAREST)


def _webp(image: "Image", quality: int | None) -> bytes:
    """The image as WebP. If no quality is given, the exact pixels are kept."""
    out = BytesIO()
    if quality is None:
        image.save(out, "WEBP", lossless=True, quality=20, method=1)
    else:
        image.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()


def _folder_name(root: str) -> str:
    key = json.dumps({"format": FORMAT_VERSION, "root": root, "side": THUMBNAIL, "smallest": SMALLEST_THUMBNAIL})
    return hashlib.sha256(key.encode()).hexdigest()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _take_lowest_priority() -> None:
    """Let this thread compute only when no other thread or process does. Only Linux has priorities of single
    threads.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
