"""The syntax of every command, a line each, and the arguments of COMMAND DOCS that follow from it.

redis-cli takes its hints from there. To add a command: its line in syntax_lines.py, the name first:

    getex key [EX seconds | PX milliseconds | PERSIST]

* a word with no small letter is a token, which stands as it is (`PERSIST`, `*`); before a word or `<` it belongs to it
* any other word is a value; its kind follows from the word (`_KINDS`), or is said behind it: `start:integer`,
  `destination:key2`, where keys are otherwise counted: the first is that of the first key specification
* `<…>` holds together, `[…]` may be left out; with `|` in either it is one of them
* `...` behind anything: it may be there more than once; `[GET pattern]...` has the token each time
* `@part` stands for what the line that begins so says

A conformance test compares what is generated with what Valkey says, and a test of the table compares arities.
"""

import re
from functools import cache
from typing import Any

from server.commands.syntax_lines import LINES

_KINDS = {
    "key": "dst destination destkey key key1 key2 newkey source sourcekey src",
    "integer": """
        bit bits client-id cluster-bus-port config-epoch count db decrement destination-db end-slot entries-added
        entries-read frequency idle index index1 index2 len limit maxage milliseconds min-match-len ms not-client-id
        not-db num-matches num-vertices numfields numkeys numlocal numreplicas offset port protover rank seconds slot
        start-slot ttl version weight""",
    "double": "height increment latitude longitude radius score width",
    "pattern": "match-pattern pattern",
    "unix-time": "unix-time-milliseconds unix-time-seconds",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_WORDS = re.compile(r"[<>\[\]|]|\.\.\.|(?:(?!\.\.\.)[^\s<>\[\]|])+")
_PART = re.compile("@[a-z-]+")
_SAID = re.compile("string|double|integer|key[0-9]")
_SMALL = re.compile("[a-z]")

Argument = dict[bytes, Any]
"""One argument of COMMAND DOCS, by the names of its fields."""


@cache
def arguments_of(name: str) -> list[Argument] | None:
    """The arguments of a command (`container|subcommand`); None if it has none.

    Raises ValueError for a line that is not of the form above, KeyError for a command without a line.
    """
    words = _WORDS.findall(_by_name()[name])
    found, at = _sequence(words, 0, [0])
    if at != len(words):
        raise ValueError(f"{name}: {words[at]} has no beginning")
    return found or None


def names() -> set[str]:
    """The commands that have a line."""
    return set(_by_name())


@cache
def _by_name() -> dict[str, str]:
    lines = (line.partition(" ") for line in LINES.strip().replace("\n ", "").splitlines())
    found = {name: rest for name, _, rest in lines}
    parts = {name: found.pop(name) for name in list(found) if name[0] == "@"}

    def whole(text: str) -> str:
        return _PART.sub(lambda match: whole(parts[match[0]]), text)

    return {name: whole(text) for name, text in found.items()}


def _sequence(words: list[str], at: int, keys: list[int]) -> tuple[list[Argument], int]:
    """What stands at `at`, up to the end or a word that closes it; and where that is. `keys` counts the keys."""
    found: list[Argument] = []
    while at < len(words) and words[at] not in ("|", ">", "]"):
        item, at = _item(words, at, keys)
        if at < len(words) and words[at] == "...":
            _mark(item, b"multiple")
            if b"token" in item and words[at - 1] == "]":
                _mark(item, b"multiple_token")
            at += 1
        found.append(item)
    return found, at


def _item(words: list[str], at: int, keys: list[int]) -> tuple[Argument, int]:
    word = words[at]
    if word in ("<", "["):
        item, at = _group(words, at + 1, "]" if word == "[" else ">", keys)
        if word == "[":
            _mark(item, b"optional")
        return item, at
    if _SMALL.search(word):
        return _value(word, keys), at + 1
    following = words[at + 1] if at + 1 < len(words) else "|"
    if following == "<" or _SMALL.search(following):
        item, at = _item(words, at + 1, keys)
        item[b"token"] = word.encode()
        return item, at
    text = b"" if word == '""' else word.encode()
    return {
        b"name": text.lower(),
        b"type": b"pure-token",
        b"display_text": text.lower(),
        b"token": text,
    }, at + 1


def _group(words: list[str], at: int, end: str, keys: list[int]) -> tuple[Argument, int]:
    """What stands between brackets; the place is behind the first."""
    ways: list[Argument] = []
    while True:
        found, at = _sequence(words, at, keys)
        if not found or at == len(words) or words[at] not in ("|", end):
            raise ValueError(f"something is missing in {' '.join(words)}")
        ways.append(found[0] if len(found) == 1 else _joined(b"block", found))
        at += 1
        if words[at - 1] == end:
            return (ways[0] if len(ways) == 1 else _joined(b"oneof", ways)), at


def _joined(kind: bytes, parts: list[Argument]) -> Argument:
    name = parts[0].get(b"token") or parts[0][b"name"]
    return {b"name": b"%b-%b" % (name.lower(), kind), b"type": kind, b"arguments": parts}


def _value(word: str, keys: list[int]) -> Argument:
    name, _, kind = word.rpartition(":")
    if not name or not _SAID.fullmatch(kind):
        name, kind = word, _KIND_OF.get(word, "string")
    text = name.encode()
    value: Argument = {b"name": text, b"type": kind.rstrip("0123456789").encode(), b"display_text": text}
    if kind.startswith("key"):
        value[b"key_spec_index"] = int(kind[3:] or keys[0])
        keys[0] += 1
    return value


def _mark(item: Argument, flag: bytes) -> None:
    item[b"flags"] = [*item.get(b"flags", []), flag]
