"""Finds class names in the guidelines that are probably misspelled."""

from collections.abc import Iterator, Sequence

from raycal.config.strict import did_you_mean
from raycal.errors import printable
from raycal.people.class_names import same_class_key
from raycal.people.guidelines import Guidelines


def unknown_classes(guidelines: Guidelines, class_names: Sequence[str], *, are_fixed: bool) -> Iterator[str]:
    """A warning for each class of the guidelines that the project does not have, with the name that may be meant.

    Guidelines may describe classes before anybody has named them, so nothing is said while a project has no class.

    Args:
        class_names: The classes that the project has now.
        are_fixed: Whether people cannot name further classes.
    """
    known = {same_class_key(name) for name in class_names}
    for name in guidelines.classes if known else ():
        if same_class_key(name) not in known:
            lacking = "this project has no class" if are_fixed else "so far nobody has named a class"
            yield printable(f"warning: guidelines: {lacking} '{name}' {did_you_mean(name, class_names)}")
