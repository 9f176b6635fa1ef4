"""Refuses YAML that costs time or memory to read, or would run code. The tests of plain mistakes are in
config/test_bad_sweeps.py."""

from pathlib import Path

import pytest
from refusal import SWEEP, Refuse, expect

KNOWN = (
    "unknown key (known: name, experiment, grid, search, scheduler, resources, tracking, stop, probes, checks, "
    "guidelines, looks)"
)
FIRST_100 = "more than 100 problems; these are the first"
TOO_MANY = "not valid YAML: more than 32000 keys and values; is this a sweep file?"


def seed(text: str) -> str:
    return f"{SWEEP}  seed: {text}\n"


BAD = {
    "keys without end": ("".join(f"k{i}: 1\n" for i in range(90_000)), (TOO_MANY,)),
    "one key without end": ("a: 1\n" * 200_000, (TOO_MANY,)),
    "lists without end": (f"{SWEEP}x: [{'[],' * 300_000}]", (TOO_MANY,)),
    "lists in lists": (f"{SWEEP}x: {'[' * 20_000}{']' * 20_000}", ("FILE: nested too deeply",)),
    "groups in groups": (f"x: {'{a: ' * 20_000}", ("FILE: nested too deeply",)),
    "a billion laughs": (
        "a: &a [lol, lol]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ("FILE:2: not valid YAML: aliases (*name) are not accepted",),
    ),
    "anchors without end": (f"a: [{'&a x,' * 100_000}]", ("FILE:1: not valid YAML: second occurrence",)),
    "key of a megabyte": (f"{'x' * 1_000_000}: 1\n", ("FILE:1: not valid YAML",)),
    "2 MiB": (SWEEP + "#" * (2 << 20), ("FILE: larger than 1048576 bytes; is this a sweep file?",)),
    "digits without end": (seed("9" * 500_000), ("FILE:9: experiment.seed: should be a valid integer, not '999",)),
    "hexadecimal digits without end": (
        seed(f"0x{'f' * 500_000}"),
        ("experiment.seed: should be a valid integer, not '0xff",),
    ),
    "digits that are almost a float": (
        seed(f"{'1' * 500_000}e"),
        ("experiment.seed: should be a valid integer, not '111",),
    ),
    "blanks that are almost a date": (
        seed(f"2001-01-01 {' ' * 300_000}x"),
        ("experiment.seed: should be a valid integer",),
    ),
    "zero bytes": (f"{SWEEP}\0", ("FILE: not valid YAML: unacceptable character #x0000",)),
    "escaped zero byte in a folder": (
        SWEEP.replace("{name: digits, train_size: 40, test_size: 20}", '{name: image_folder, root: "a\\0b"}'),
        ("PLACE/a\\x00b: embedded null byte; give an existing folder of images",),
    ),
    "lone surrogate": (seed('"\\ud800"'), ("FILE",)),
    "object of Python": (
        seed("!!python/object:os.system {}"),
        ("FILE:9: not valid YAML: the tag tag:yaml.org,2002:python",),
    ),
    "call of Python": (
        seed("!!python/object/apply:os.abort []"),
        ("FILE:9: not valid YAML: the tag tag:yaml.org,2002:python",),
    ),
    "module of Python": (seed("!!python/module:os"), ("FILE:9: not valid YAML: could not determine a constructor",)),
    "name up a folder": (
        SWEEP.replace("tiny", "../../evil"),
        ("FILE:1: name: should be 1 to 64 characters of a-z 0-9 . _ + -",),
    ),
    "absolute name": (
        SWEEP.replace("tiny", "/etc/evil"),
        ("FILE:1: name: should be 1 to 64 characters of a-z 0-9 . _ + -",),
    ),
    "scenario up a folder": (
        SWEEP.replace("random", "{name: ../evil, steps: [{ask: random, share: 1}]}"),
        ("FILE:5: experiment.scenario.name: should be 1 to 64 characters of a-z 0-9 . _ + -",),
    ),
    "dataset up a folder": (
        SWEEP.replace("{name: digits,", "{name: ../digits,"),
        ("'../digits': no such dataset (did you",),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_file_is_refused(place: Path, refuse: Refuse, case: str) -> None:
    text, parts = BAD[case]
    (place / "sweep.yaml").write_text(text)

    expect(refuse(), *parts)


def test_of_many_problems_the_first_are_listed(place: Path, refuse: Refuse) -> None:
    (place / "sweep.yaml").write_text(SWEEP + "".join(f"key{i}: 1\n" for i in range(5000)))

    lines = refuse()

    assert lines[0] == f"FILE:9: key0: {KNOWN}"
    assert lines[100:] == [f"FILE: {FIRST_100}"]


def test_of_many_keys_given_twice_the_first_are_listed(place: Path, refuse: Refuse) -> None:
    (place / "sweep.yaml").write_text("a: 1\n" * 5000)

    lines = refuse()

    assert lines[0] == "FILE:2: a: given twice"
    assert lines[100:] == [f"FILE: {FIRST_100}"]
