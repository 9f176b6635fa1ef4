"""Downloads the files that a table names by URLs into the cache, each once.

`http` and `https` are read by Python, and every other scheme, such as `s3` and `gs`, by pyarrow. A file whose download
failed for a reason that may pass, such as a timeout or an overloaded server, is tried three times. A file in the cache
is not downloaded again, even if the file behind its URL has changed since.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from raycal.data.cache import cache_dir
from raycal.data.download import TIMEOUT_SECONDS
from raycal.data.places import cached_file
from raycal.errors import InputError, RaycalError, one_line
from raycal.filesystem import open_place

logger = logging.getLogger(__name__)

NUM_THREADS, NUM_TRIES = 16, 3
WAIT_SECONDS = 1.0  # in seconds, before the second attempt; the wait before the third attempt is twice as long
MOST_FAILURES = 20  # after this many failed downloads, no other file is tried
MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})


class _FailedError(RaycalError):
    """A file could not be downloaded.

    Args:
        reason: The reason, in one line.
        may_pass: Whether another attempt may succeed.
    """

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def missing_urls(urls: Sequence[str]) -> list[str]:
    """The URLs whose files are not in the cache."""
    return [url for url in urls if not cached_file(url).is_file()]


def fetch_files(urls: Sequence[str]) -> Mapping[str, str]:
    """Download the files that are not in the cache.

    Returns:
        The reason why a file could not be downloaded, by its URL. After 20 failed downloads, no other file is tried.

    Raises:
        InputError: The cache folder cannot be written.
    """
    missing = missing_urls(urls)
    if not missing:
        return {}
    begin, failed, stopped = time.perf_counter(), dict[str, str](), threading.Event()

    def fetch(url: str) -> None:
        if stopped.is_set():
            return
        try:
            _fetch_repeatedly(url, cached_file(url))
        except _FailedError as error:
            failed[url] = str(error)
            if len(failed) >= MOST_FAILURES:
                stopped.set()

    try:
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            for _ in pool.map(fetch, missing):
                pass
    except OSError as error:
        raise InputError(
            f"{cache_dir()}: cannot write the cache ({error.strerror or error}); free space or set RAYCAL_CACHE to a"
            " folder that can be written"
        ) from error
    logger.info("downloaded %d files (%.1f s)", len(missing) - len(failed), time.perf_counter() - begin)
    return failed


def _fetch_repeatedly(url: str, path: Path) -> None:
    for attempt in range(NUM_TRIES):
        if attempt:
            time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
        try:
            return _fetch(url, path)
        except _FailedError as error:
            if not error.may_pass:
                raise
            last = error
    raise _FailedError(f"{last}, {NUM_TRIES} attempts", may_pass=True)


def _fetch(url: str, path: Path) -> None:
    """Download a file to a temporary one, and rename it, so that a file of the cache is always whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as partial:
        try:
            if url.startswith(("http://", "https://")):
                _from_web(url, partial.file)
            else:
                _from_store(url, partial.file)
            partial.close()
            os.replace(partial.name, path)
        except BaseException:
            os.unlink(partial.name)
            raise


def _from_web(url: str, out: IO[bytes]) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, headers={"User-Agent": "raycal"}), timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
    except HTTPError as error:
        raise _FailedError(f"{error.code} {error.reason}", may_pass=error.code in MAY_PASS) from error
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _FailedError(one_line(reason) or type(reason).__name__, may_pass=True) from error
    except ValueError as error:
        raise _FailedError(one_line(error), may_pass=False) from error
    out.write(content)


def _from_store(url: str, out: IO[bytes]) -> None:
    try:
        filesystem, path = open_place(url)
        source = filesystem.open_input_file(path)
    except InputError as error:
        raise _FailedError(str(error), may_pass=False) from error
    except FileNotFoundError as error:
        raise _FailedError("no such file", may_pass=False) from error
    except OSError as error:
        raise _FailedError(one_line(error), may_pass=True) from error
    with source:
        shutil.copyfileobj(source, out)
