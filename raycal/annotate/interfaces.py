"""What the server needs of the project and of its pictures."""

from collections.abc import Sequence
from typing import Any, Protocol

Json = dict[str, Any]


class Project(Protocol):
    """The questions and answers of a project. All methods may be called from several threads at the same time.

    `who` is the pseudonym of a person, and `client` the id of a browser tab. Samples are rows of the dataset.

    Raises:
        InputError: Raised by every method if it refuses what is asked for; the message is a sentence for the person.
        OSError: Raised by every method that stores something, if nothing could be stored.
    """

    @property
    def num_changes(self) -> int:
        """A number that grows whenever the state may have changed."""

    def state(self, who: str) -> Json: ...

    def next(self, who: str, client: str, holding: Sequence[str], want: int) -> Json: ...

    def heartbeat(self, who: str, client: str, holding: Sequence[str]) -> Json: ...

    def more(self, who: str, question: str, page: int) -> Json: ...

    def guidelines(self) -> Json: ...

    def texts(self, rows: Sequence[int]) -> list[tuple[int, str]]:
        """The row and the beginning of each of these texts. A row that is no text is left out."""

    def text(self, row: int) -> Json:
        """A whole text, or the part of it that people see. It raises an `IndexError` if there is no such text."""

    def submit(self, who: str, client: str, events: Sequence[object]) -> list[Json]:
        """Check and store events, which may have any form. There is a receipt for each of them, in the same order."""

    def close_round(self, who: str) -> Json: ...

    def rename_class(self, who: str, label: int, name: str) -> Json: ...

    def release(self, client: str, questions: Sequence[str] | None = None) -> None: ...


class Pictures(Protocol):
    """The pictures that people see, as WebP or JPEG files. All methods may be called from several threads.

    Raises:
        IndexError: Raised by every method if there is no such image.
        RaycalError: Raised by every method if the picture cannot be shown now.
    """

    def thumbnail(self, row: int) -> bytes: ...

    def full(self, row: int) -> bytes: ...

    def model(self, row: int) -> bytes: ...
