"""Writes the description of a sweep's run in MLflow."""

from collections.abc import Sequence

MAX_CHARACTERS = 7000  # MLflow accepts at most 8,000 bytes in a tag.


def description(sentences: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The description in Markdown: the sentences as a list, and a table, cut off where it is too long for MLflow.

    Args:
        sentences: Sentences about the results.
        columns: The titles of the table's columns.
        rows: The table's cells.
    """
    text = "\n".join(f"- {_escaped(sentence)}" for sentence in sentences)
    lines = [_row(columns), _row(["---"] * len(columns))]
    length = len((text + "".join(lines)).encode())
    for number, row in enumerate(rows):
        length += len(_row(row).encode()) + 1
        if length > MAX_CHARACTERS:
            left = len(rows) - number
            lines += ["", f"{left} more {'row is' if left == 1 else 'rows are'} in report/summary.csv."]
            break
        lines.append(_row(row))
    return "\n\n".join(filter(None, [text, "\n".join(lines) if rows else ""]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _escaped(text: str) -> str:
    """The text without characters that Markdown would take as markup."""
    for character in "\\`*_<>[]":
        text = text.replace(character, f"\\{character}")
    return text
