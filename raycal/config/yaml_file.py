"""A YAML reader as users expect it: 1e-3 is a number, no key may occur twice, and the line of every value is known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raycal.errors import InputError

MAX_BYTES = 1 << 20
MAX_VALUES = 32_000
MAX_DIGITS = 100
MAX_PROBLEMS = 100
AND_MORE = f"more than {MAX_PROBLEMS} problems; these are the first"
# On a command line, a value is parsed as YAML if it begins with one of the characters in `_BEGIN_YAML` or if its type
# in YAML is one of `_PLAIN`. Any other value is text.
_BEGIN_YAML = ("[", "{", '"', "'")
_PLAIN = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, and the line (from 1) of each path in it."""

    values: dict[str, Any]
    lines: Mapping[Where, int]


class _Loader(yaml.SafeLoader):
    """A SafeLoader with YAML 1.2 numbers and without aliases, because a few lines of aliases can expand to gigabytes.

    The number of values is limited, because parsing takes about 30 us for each value.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._num_values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._num_values += 1
        if self._num_values > MAX_VALUES:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            problem = f"more than {MAX_VALUES} keys and values; is this a sweep file?"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not accepted", problem_mark=mark)
        return super().compose_node(parent, index)


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | str:
    """An integer as in YAML 1.2, where 010 is ten. Other text, such as 1:30 or a number of more than 100 digits, is
    returned unchanged."""
    text = str(loader.construct_scalar(node))
    if len(text) > MAX_DIGITS:
        return text
    try:
        return int(text, 16 if text.lower().lstrip("+-").startswith("0x") else 10)
    except ValueError:
        return text


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_value(text: str) -> Any:
    """Parse one value as a shell user typed it after `--set KEY=`.

    Lists, groups and quoted strings are parsed as YAML. Anything else is a number, a truth value, null, or exactly the
    text that was typed: ` #` does not begin a comment, `: ` does not make a group, and `*`, `&`, `!` and dates have no
    special meaning.

    Raises:
        ValueError: The text is not such a value.
    """
    try:
        loader = _Loader(text)  # refuses control characters
        if text.lstrip()[:1] in _BEGIN_YAML:
            return _parse_yaml(loader, text)
        plain = text.strip()
        tag = loader.resolve(yaml.ScalarNode, plain, (True, False))  # type: ignore[no-untyped-call]
        return loader.construct_object(yaml.ScalarNode(tag, plain)) if tag in _PLAIN else text
    except (yaml.YAMLError, RecursionError) as error:
        hint = "; quote text that begins with [ or {, as in '\"[a] b\"'" if text.lstrip()[:1] in ("[", "{") else ""
        raise ValueError(f"not a YAML value: {text[:60]!r}{hint}") from error


def _parse_yaml(loader: _Loader, text: str) -> Any:
    problems: list[str] = []
    node: Any = loader.get_single_node()
    value = _construct(loader, node, (), {}, problems)
    if problems:
        raise ValueError(problems[0].partition(": ")[2])
    rest = text[node.end_mark.index :].strip()
    if rest:  # YAML would read the rest as a comment
        raise ValueError(f"not a YAML value: {rest[:60]!r} follows the end of the value")
    return value


def read_yaml(path: str) -> Document:
    """Read a file whose top level is a mapping.

    Raises:
        InputError: The file is missing, too large, not text or not YAML, or a key occurs twice.
    """
    return parse_yaml(_read_text(path), path)


def parse_yaml(text: str, path: str) -> Document:
    """Parse the text of a file whose top level is a mapping; `path` names the file in messages.

    Raises:
        InputError: The text is not YAML, or a key occurs twice.
    """
    lines: dict[Where, int] = {(): 1}
    problems: list[str] = []
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        values = _construct(loader, node, (), lines, problems) if node else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: should hold 'key: value' lines (name, experiment, grid)")
    if problems:
        more = [f" {AND_MORE}"] if len(problems) > MAX_PROBLEMS else []
        raise InputError(*(f"{path}:{problem}" for problem in problems[:MAX_PROBLEMS] + more))
    return Document(values, lines)


def _read_text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES} bytes; is this a sweep file?")
        return content.decode()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8") from error


def _construct(loader: _Loader, node: Any, where: Where, lines: dict[Where, int], problems: list[str]) -> Any:
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
        problem = f"the tag {node.tag} is not accepted"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True) if isinstance(key_node, yaml.ScalarNode) else None
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                problems.append(f"{line}: a key should be a word")
            elif key in mapping:
                problems.append(f"{line}: {'.'.join(map(str, (*where, key)))}: given twice")
            else:
                mapping[key] = _construct(loader, value_node, (*where, key), lines, problems)
                lines[(*where, key)] = line
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*where, i), lines, problems) for i, item in enumerate(node.value)]
    return loader.construct_object(node)
