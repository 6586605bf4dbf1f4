"""From TOML to dataclasses, saying everything that is wrong at once, with line and key.

A section of the configuration is a frozen dataclass whose fields are made by `setting(default, unit, doc, …)`:
default, unit, range and explanation of a setting stand in one place. `read_section` holds a TOML table against such a
class; each mismatch goes to the `Problems` of the file and reading continues, so that an operator mends a file in one
go. Nothing is ignored: a key that no field has is a problem, with the nearest name as a hint.

To add a setting, add a field to a section in sections.py; conf/standalone.toml must then show it (a test says so).

Line numbers come from a scan of our own over the text, since tomllib keeps none. It knows table headers, dotted and
quoted keys. A line inside a multi-line string that looks like a header is taken for one, which only misplaces a number
in a message.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class ConfigError(Exception):
    """The configuration can not be used. The text has one line per problem, each with its place and its remedy."""


class Problem(NamedTuple):
    """One thing that is wrong."""

    line: int
    """Counted from 1; 0 when it has no place in the file."""
    key: str
    """Dotted path, such as raft.heartbeat_ms; empty for the file as a whole."""
    text: str
    """What is wrong and what would be right."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What a setting means, and what its value must be beyond its type."""

    unit: str
    """Milliseconds, MiB, …; empty for what is no quantity."""
    doc: str
    """Explanation for people. The same words stand in conf/standalone.toml."""
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    """The only values of a string; empty: any."""
    pattern: str = ""
    """Regular expression that the whole string matches; empty: any."""
    pattern_words: str = ""
    """The pattern, in words."""

    def refusal(self, value: object) -> str | None:
        """What is wrong with a `value` of the right type, or None."""
        if isinstance(value, int) and not isinstance(value, bool):
            if self.low is not None and value < self.low:
                return f"{value} is too small, it must be {self.range_words()}"
            if self.high is not None and value > self.high:
                return f"{value} is too large, it must be {self.range_words()}"
        if isinstance(value, str):
            if self.choices and value not in self.choices:
                return f'"{value}" is none of {quoted(self.choices)}'
            if self.pattern and re.fullmatch(self.pattern, value) is None:
                return f'"{value}" will not do, it must be {self.pattern_words}'
        return None

    def range_words(self) -> str:
        """The allowed range, such as `10 to 10000 milliseconds`."""
        return f"{self.low} to {self.high} {self.unit}".strip()


def setting(
    default: T,
    unit: str,
    doc: str,
    *,
    low: int | None = None,
    high: int | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    pattern_words: str = "",
) -> T:
    """A field of a section. Its type is that of `default`; the rest is explained at `Rule`."""
    rule = Rule(unit, doc, low, high, choices, pattern, pattern_words)
    return dataclasses.field(default=default, metadata={"rule": rule})


class Section(Protocol):
    """Any dataclass of settings."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=Section)


class Problems:
    """What is wrong with one file, and where its keys stand."""

    def __init__(self, source: str, text: str) -> None:
        """`source`: the file's name for messages; `text`: its content."""
        self.found: list[Problem] = []
        self._source = source
        self._lines = lines_of_keys(text)

    def add(self, path: tuple[str, ...], text: str) -> None:
        """Note that the key at `path` is wrong; `text`: what and how to mend it."""
        self.add_at(self._line(path), ".".join(path), text)

    def add_at(self, line: int, key: str, text: str) -> None:
        """The same, for a known line."""
        self.found.append(Problem(line, key, text))

    def raise_if_any(self) -> None:
        """Raise ConfigError with all that was found, in the order of the file."""
        if not self.found:
            return
        lines = []
        for problem in sorted(self.found, key=lambda problem: problem.line):
            place = f"{self._source}:{problem.line}" if problem.line else self._source
            lines.append(": ".join(part for part in (place, problem.key, problem.text) if part))
        raise ConfigError("\n".join(lines))

    def _line(self, path: tuple[str, ...]) -> int:
        """The line of the key, or of the nearest table around it, or 0."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 0


def rules_of(section: type[Section]) -> dict[str, Rule]:
    """The settings of a section's class by name, in order; fields that are no settings are left out."""
    rules = {}
    for field in dataclasses.fields(section):
        if "rule" in field.metadata:
            rules[field.name] = field.metadata["rule"]
    return rules


def read_section(
    section: type[S],
    table: object,
    path: tuple[str, ...],
    problems: Problems,
    homes: Mapping[str, str] = MappingProxyType({}),
) -> S:
    """The TOML `table` found at `path` as a `section`. What is wrong goes to `problems` and keeps its default.

    `homes`: settings of other sections and the names of those, for who puts one into the wrong place.
    """
    if not isinstance(table, Mapping):
        problems.add(
            path, f"must be a table: write [{'.'.join(path)}] on a line of its own and the settings below it"
        )
        return section()
    rules = rules_of(section)
    defaults = {field.name: field.default for field in dataclasses.fields(section)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in rules:
            elsewhere = f" here, it belongs to {homes[key]}" if key in homes else hint(key, rules)
            problems.add((*path, key), f"there is no such setting{elsewhere}")
            continue
        text = _type_refusal(defaults[key], value) or rules[key].refusal(value)
        if text:
            problems.add((*path, key), text)
        else:
            values[key] = value
    return section(**values)


def hint(name: str, known: Iterable[str], *, all_of_them: bool = True) -> str:
    """`, did you mean X?` when something in `known` resembles `name`, else (`all_of_them`) the names there are."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f", did you mean {near[0]}?"
    return f"; there are {', '.join(names)}" if names and all_of_them else ""


def quoted(names: Iterable[str]) -> str:
    """`"a", "b"`."""
    return ", ".join(f'"{name}"' for name in names)


def lines_of_keys(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each table and key of a TOML text stands first."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?([^\[\]]+)\]", line):
            table = _split_key(header[1])
            lines.setdefault(table, number)
        elif key := re.match(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=", line):
            path = table + _split_key(key[1])
            for length in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""


def _split_key(text: str) -> tuple[str, ...]:
    """The parts of a dotted key, unquoted."""
    return tuple(part.strip("\"'") for part in re.findall(_PART, text))


_TYPE_WORDS = {int: "a whole number", str: "a string in quotes", bool: "true or false"}


def _type_refusal(default: object, value: object) -> str | None:
    """What is wrong with the type of `value`, or None. A bool is no number here, though Python says so."""
    if type(value) is type(default):
        return None
    return f"{_shown(value)} is not {_TYPE_WORDS[type(default)]}"


def _shown(value: object) -> str:
    """A value as it may have stood in the file, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "a table"
    return str(value)[:60]
