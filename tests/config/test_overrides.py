"""Tests that the text after `--set KEY=` is parsed as a shell user means it."""

from typing import Any

import pytest

from raycal.config.yaml_file import parse_value


@pytest.mark.parametrize(
    "text",
    [
        "a #2",
        "#2",
        "a: b",
        "a:",
        "key: [1, 2]",
        "*star",
        "&anchor",
        "!tag",
        "- dash",
        "? question",
        "|",
        "> folded",
        "%percent",
        "@at",
        "`tick`",
        "=",
        "<<",
        "2026-01-01",
        "--- a",
        "a, b",
        "a ]",
        "two\nlines",
        " leading",
        "~/Vögel #2: best",
        "C:\\images",
    ],
)
def test_text_is_taken_as_typed(text: str) -> None:
    assert parse_value(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("null", None),
        ("~", None),
        ("true", True),
        ("7", 7),
        (" 7 ", 7),
        ("010", 10),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("[0,1]", [0, 1]),
        (" [0, 1] ", [0, 1]),
        ("{name: noisy, rate: 0.1}", {"name": "noisy", "rate": 0.1}),
        ("['a #2', b]", ["a #2", "b"]),
        ("'7'", "7"),
        ('"a #2"', "a #2"),
    ],
)
def test_numbers_null_lists_groups_and_quoted_text(text: str, value: Any) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["[0,1] #2", '"a" #2', "'a' b", "{a: 1} # note", "[a #2]", "[0, 1", "{a: 1", "[a] b"])
def test_nothing_is_cut_without_a_word(text: str) -> None:
    with pytest.raises(ValueError, match="not a YAML value"):
        parse_value(text)
