"""Runs `python -m raycal.annotate` in a separate process, and simulates people who use its page in Chromium."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

START_SECONDS = 60.0
# The page ignores an answer that follows another one faster than this, because nobody can have looked at the image so
# fast.
DOUBLE_PRESS_SECONDS = 0.26
LINK = "label here: "

# This script keeps each question that the server gives to the page, as a person sees it on the screen.
KEEP_QUESTIONS = """(() => {
  const original = window.fetch;
  window.questions = {};
  window.fetch = async (...call) => {
    const response = await original(...call);
    if (/^\\/api\\/(next|answers)$/.test(call[0]) && response.ok) {
      const { questions = [], receipts = [] } = await response.clone().json();
      for (const one of [...questions, ...receipts.map((receipt) => receipt.question)]) {
        if (one) window.questions[one.id] = one;
      }
    }
    return response;
  };
  window.paints = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntriesByName("answer to paint")) {
      window.paints.push([document.body.dataset.ready, one.duration]);
    }
  }).observe({ type: "measure" });
})()"""
ON_SCREEN = """() => {
  const { ready, question } = document.body.dataset;
  if (!ready || ready !== question || document.querySelector("dialog[open]")) return null;
  return window.questions[ready] ?? null;
}"""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONUNBUFFERED": "1"}


def run_command(folder: Path, *arguments: str, module: str = "raycal.annotate") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


class Command:
    """A running `python -m raycal.annotate`, in a `with` block. `lines` is what it has printed so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.lines: list[str] = []
        self._serves = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "raycal.annotate", *arguments],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if error is not None:
            print(*self.lines, sep="\n")

    @property
    def link(self) -> str:
        """The link of the owner."""
        assert self._serves.wait(START_SECONDS), self.lines
        found = [line for line in self.lines if line.startswith(LINK)]
        assert found, self.lines
        return found[0].removeprefix(LINK)

    @property
    def port(self) -> str:
        return self.link.partition("/#")[0].rpartition(":")[2]

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(60)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(LINK):
                self._serves.set()
        self._serves.set()


class Annotator:
    """A person at the page, who answers by keys alone. `errors` collects what goes wrong in the page's scripts."""

    def __init__(self, context: Any, link: str) -> None:
        self.errors: list[str] = []
        self._last_answer = 0.0
        self.page = context.new_page()
        self.page.add_init_script(KEEP_QUESTIONS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._listen)
        self.page.on("dialog", self._refuse_alert)
        self.page.goto(link)
        self.page.wait_for_function("() => document.getElementById('who').textContent")  # The session has begun.

    def _listen(self, message: Any) -> None:
        # Refused requests are part of some tests; a violated content policy is always a fault.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _refuse_alert(self, dialog: Any) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def question(self) -> dict[str, Any] | None:
        """The question on the screen. None if no question can be answered."""
        found: dict[str, Any] | None = self.page.evaluate(ON_SCREEN)
        return found

    def next_question(self, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for a question, and return it."""
        found: dict[str, Any] = self.page.wait_for_function(ON_SCREEN, timeout=1000 * seconds).json_value()
        return found

    def state(self) -> dict[str, Any]:
        """The state of the project, as the server gives it to the page."""
        found: dict[str, Any] = self.page.evaluate("async () => (await fetch('/api/state')).json()")
        return found

    def rows(self, question: dict[str, Any]) -> list[int]:
        """The images of a question. For a cluster, the page first shows all of its images."""
        if question["kind"] == "sample":
            return [question["image"]]
        while len(tiles := self._tiles()) < question["size"]:
            self.page.keyboard.press("Space")
            self.page.wait_for_function(f"() => document.querySelectorAll('.tile').length > {len(tiles)}")
            time.sleep(DOUBLE_PRESS_SECONDS)
        return tiles

    def _tiles(self) -> list[int]:
        found: list[int] = self.page.eval_on_selector_all(
            ".tile", "tiles => tiles.map((one) => Number(one.dataset.row))"
        )
        return found

    def press(self, key: str) -> None:
        """Answer by a key, but not so soon after the previous answer that the page takes it for a double press."""
        time.sleep(max(0.0, self._last_answer + DOUBLE_PRESS_SECONDS - time.monotonic()))
        self.page.keyboard.press(key)
        self._last_answer = time.monotonic()

    def label(self, label: int) -> None:
        self.press(str((label + 1) % 10))

    def name_class(self, name: str) -> None:
        """Answer with a new class."""
        time.sleep(max(0.0, self._last_answer + DOUBLE_PRESS_SECONDS - time.monotonic()))
        self.page.keyboard.press("n")
        self.page.keyboard.type(name)
        self.page.keyboard.press("Enter")
        self._last_answer = time.monotonic()

    def all_sent(self) -> None:
        """Wait until the server has stored every answer."""
        self.page.wait_for_function("() => document.getElementById('unsent').textContent === '0 unsent'")

    def mark(self, rows: Iterable[int]) -> None:
        """Mark images of the cluster on the screen as odd."""
        for row in rows:
            self.page.click(f".tile[data-row='{row}']")

    def paint_ms(self, purpose: str) -> list[float]:
        """For each question of a purpose since the page was opened: the time from the previous key press until the
        question was painted."""
        keep = (
            "window.paints.filter(([id]) => window.questions[id]?.purpose === purpose).map(([, duration]) => duration)"
        )
        found: list[float] = self.page.evaluate(f"(purpose) => {keep}", purpose)
        return found


Answer = Callable[[Annotator, dict[str, Any]], object]


def label_until(
    people: Sequence[Annotator],
    answer: Answer,
    is_done: Callable[[dict[str, Any]], bool],
    *,
    seed: int = 0,
    most: int | None = None,
    seconds: float = 150.0,
) -> int:
    """Let people answer the questions on their screens, one person at a time in a random order.

    Args:
        answer: Answers a question, or returns False if the person would rather wait.
        is_done: Whether the state says that people have answered enough. It is only called when nobody has a question
            to answer.
        most: The number of answers after which people stop in any case.

    Returns:
        The number of answers.
    """
    rng = np.random.default_rng(seed)
    until, num_answers = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        if num_answers == most:
            return num_answers
        for number in rng.permutation(len(people)):
            question = people[number].question()
            if question is not None and answer(people[number], question) is not False:
                num_answers += 1
                break
        else:
            if is_done(people[0].state()):
                return num_answers
            time.sleep(0.1)
    raise AssertionError(f"the project is not done after {seconds} s: {people[0].state()}")


def quantile_95(values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.95))
