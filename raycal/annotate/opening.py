"""Stands in for a project whose samples are still being read, so that its page can be opened at once and says how far
that is."""

import threading
from collections.abc import Mapping, Sequence
from uuid import uuid4

from raycal.annotate.interfaces import Json, Pictures, Project
from raycal.errors import InfrastructureError


class StillOpeningError(InfrastructureError):
    """The project cannot do this before its samples are read; a page tries again."""


class OpeningProject:
    """A project and its pictures, which say that the samples are being read until `open` is called.

    All methods may be called from many threads at the same time.

    Args:
        facts: The part of the state that is known before the samples are read, such as the name of the project.
        epoch: Distinguishes this start of the server from others; the project that is opened must have the same.
    """

    def __init__(self, facts: Mapping[str, object], *, epoch: str | None = None) -> None:
        self.epoch = epoch or uuid4().hex
        self._facts = {"noun": "image", **facts}
        self._lock = threading.Lock()
        self._num_changes = 0
        self._message = f"{self._samples} are being read."
        self._project: Project | None = None
        self._pictures: Pictures | None = None

    def tell(self, done: int, total: int) -> None:
        """Say on the page how many of the images are decoded."""
        with self._lock:
            self._message = (
                f"{self._samples} are being read: {done:,} of {total:,}. Later starts find them in the cache."
            )
            self._num_changes += 1

    def open(self, project: Project, pictures: Pictures | None) -> None:
        """Pass all further calls on to the project and to its pictures, which only images have."""
        with self._lock:
            self._project, self._pictures = project, pictures
            self._num_changes += 1

    @property
    def num_changes(self) -> int:
        """A number that grows whenever the state may have changed."""
        return self._num_changes + (0 if self._project is None else self._project.num_changes)

    def state(self, who: str) -> Json:
        """What a page shows besides the question."""
        if self._project is not None:
            return self._project.state(who)
        return {
            "project": "",
            "project_id": "",
            "who": who,
            "phase": "preparing",
            "message": self._message,
            "iteration": 0,
            "rounds": 0,
            "step": None,
            "kind": None,
            "answered": 0,
            "budget": 0,
            "round_answered": 0,
            "minutes_left": None,
            "classes": [],
            "may_add_classes": False,
            "holdout": {"size": 0, "answered": 0, "first": 0},
            "results": [],
            "rounds_before": 0,
            "progress": None,
            "labeled": 0,
            "total": 0,
            "people": 1,
            "can_undo": False,
            "looks": None,
            "epoch": self.epoch,
            "is_open": False,
            **self._facts,
        }

    def next(self, who: str, client: str, holding: Sequence[str], want: int) -> Json:
        """Give a page no questions yet. The page keeps the questions that it has from before a restart."""
        if self._project is not None:
            return self._project.next(who, client, holding, want)
        return {"questions": [], "lost": [], "wait": self._message}

    def heartbeat(self, who: str, client: str, holding: Sequence[str]) -> Json:
        """Note that a page is still open."""
        return {"lost": []} if self._project is None else self._project.heartbeat(who, client, holding)

    def more(self, who: str, question: str, page: int) -> Json:
        """Further samples of a cluster."""
        return self._opened.more(who, question, page)

    def guidelines(self) -> Json:
        """What the owner tells about the classes, and examples of each class."""
        return self._opened.guidelines()

    def texts(self, rows: Sequence[int]) -> list[tuple[int, str]]:
        """The beginnings of some texts."""
        return self._opened.texts(rows)

    def text(self, row: int) -> Json:
        """A whole text."""
        return self._opened.text(row)

    def submit(self, who: str, client: str, events: Sequence[object]) -> list[Json]:
        """Store what a person did."""
        return self._opened.submit(who, client, events)

    def close_round(self, who: str) -> Json:
        """End the round now."""
        return self._opened.close_round(who)

    def rename_class(self, who: str, label: int, name: str) -> Json:
        """Give a class another name."""
        return self._opened.rename_class(who, label, name)

    def release(self, client: str, questions: Sequence[str] | None = None) -> None:
        """Free questions that a page gives back."""
        if self._project is not None:
            self._project.release(client, questions)

    def thumbnail(self, row: int) -> bytes:
        """A small picture of an image."""
        return self._opened_pictures.thumbnail(row)

    def full(self, row: int) -> bytes:
        """A large picture of an image."""
        return self._opened_pictures.full(row)

    def model(self, row: int) -> bytes:
        """What the model sees of an image."""
        return self._opened_pictures.model(row)

    @property
    def _opened(self) -> Project:
        if self._project is None:
            raise StillOpeningError(self._waiting)
        return self._project

    @property
    def _opened_pictures(self) -> Pictures:
        if self._project is None:
            raise StillOpeningError(self._waiting)
        if self._pictures is None:
            raise IndexError("this project has no pictures")
        return self._pictures

    @property
    def _samples(self) -> str:
        return f"The {self._facts['noun']}s"

    @property
    def _waiting(self) -> str:
        return f"{self._samples} are still being read."
