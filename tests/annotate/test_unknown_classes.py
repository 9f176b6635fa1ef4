"""Tests the warnings about classes of the guidelines that a project does not have."""

import pytest

from raycal.annotate.unknown_classes import unknown_classes
from raycal.people.guidelines import Guidelines

GUIDELINES = Guidelines(classes={"ROBIN": "A red breast.", "sparow": "Brown.", "owl": "Large eyes."})


@pytest.mark.parametrize(
    ("are_fixed", "lacking"), [(True, "this project has no class"), (False, "so far nobody has named a class")]
)
def test_unknown_class_is_named_with_the_class_that_may_be_meant(are_fixed: bool, lacking: str) -> None:
    assert list(unknown_classes(GUIDELINES, ["robin", "sparrow"], are_fixed=are_fixed)) == [
        f"warning: guidelines: {lacking} 'sparow' (did you mean 'sparrow'?)",
        f"warning: guidelines: {lacking} 'owl' (known: robin, sparrow)",
    ]


def test_guidelines_may_come_before_the_first_class() -> None:
    assert list(unknown_classes(GUIDELINES, [], are_fixed=False)) == []


def test_name_that_would_control_the_terminal_is_escaped() -> None:
    (line,) = unknown_classes(Guidelines(classes={"a\x1b[2Jb": ""}), ["robin"], are_fixed=True)

    assert line == "warning: guidelines: this project has no class 'a\\x1b[2Jb' (known: robin)"
