"""The browser in which tests open web pages."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

# Without a window, this program shows the same pages as Chromium in less than half of the processor time.
SHELL = shutil.which("chromium-headless-shell")
PROGRAM = SHELL or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")


class SharedBrowser:
    """A Chromium without a window, controlled by Playwright, which is started when a test first needs it.

    While the browser runs, this thread has a running event loop: it cannot call `asyncio.run`.

    Attributes:
        user: The module of the newest test that uses the browser.
    """

    def __init__(self) -> None:
        self.user: Path | None = None
        self._opened, self._browser = ExitStack(), None

    def get(self) -> Any:
        """The browser, which is started unless it runs."""
        if self._browser is None or not self._browser.is_connected():
            self.close()
            sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
            playwright = self._opened.enter_context(sync_api.sync_playwright())
            self._browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(OPTIONS))
            self._opened.callback(self._browser.close)
        return self._browser

    def close(self) -> None:
        """End the browser, if it runs, and the event loop of this thread."""
        self._browser = None
        self._opened.close()
