"""What the server needs of the project and of its pictures."""

from collections.abc import Sequence
from typing import Any, Protocol

Json = dict[str, Any]


class Project(Protocol):
    """The questions and answers of a project. All methods may be called from several threads at the same time.

    `who` is the pseudonym of a person, and `client` the id of a browser tab. Images are rows of `ImageDataset.images`.

    Raises:
        InputError: Raised by every method if it refuses what is asked for; the message is a sentence for the person.
        OSError: Raised by every method that stores something, if nothing could be stored.
    """

    def state(self, who: str) -> Json: ...

    def next(self, who: str, client: str, holding: Sequence[str], want: int) -> Json: ...

    def more(self, who: str, question: str, page: int) -> Json: ...

    def submit(self, who: str, client: str, events: list[Json]) -> list[Json]: ...

    def close_round(self, who: str) -> Json: ...

    def release(self, client: str, questions: Sequence[str]) -> None: ...


class Pictures(Protocol):
    """The pictures that people see, encoded as WebP."""

    def picture(self, row: int, size: str) -> bytes:
        """The picture of an image; may be called from several threads at the same time.

        Args:
            row: The row of the image.
            size: `thumbnail`, `full` or `model`.

        Raises:
            LookupError: There is no such image.
        """
