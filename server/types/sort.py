"""What SORT does: the elements of a list, set or sorted set in order of themselves or of other keys' values.

A pattern makes a key of each element, which takes the place of its first `*`; `key->field` goes on to a field of a
hash. `#` is the element itself. What a pattern does not find counts as 0, comes first among texts, and is null in the
result.

Redis's rules, odd ones too: equal scores are ordered by the elements; texts are compared by their bytes, up to a null
byte unless the result is stored; a `BY` without `*` means that nothing is sorted, but a set, which has no order of its
own, is sorted by its members then, so that it reads the same in a script and when stored.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from math import isinf
from typing import Any

from server.keyspace.breath import breathe, paced
from server.keyspace.layout import HASH, LIST, SET, STRING, ZSET
from server.keyspace.view import View
from server.types import hashes, lists, sets, zsets

ELEMENT = b"#"
SORTABLE = (LIST, SET, ZSET)
_WILDCARDS = re.compile(rb"[*?\[\\]")
_NUMBER = re.compile(rb"[+-]?(?:inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)


sorted_at_once_max = 4096
"""Elements, about a millisecond."""


class NotANumber(Exception):
    """What is to be sorted by is no number."""


def place_of(pattern: bytes) -> bytes | None:
    """A key with the slot of all keys that `pattern` makes; None when they may have different ones."""
    start = wildcard.start() if (wildcard := _WILDCARDS.search(pattern)) else len(pattern)
    opening = pattern.find(b"{", 0, start)
    closing = pattern.find(b"}", opening + 1, start) if opening >= 0 else -1
    if closing > opening + 1:
        return pattern[: closing + 1]
    return None if wildcard else pattern


def look_up(view: View, pattern: bytes, element: bytes) -> bytes | None:
    """What `pattern` finds for `element`; None when that is nothing, or not of the right type."""
    if pattern == ELEMENT:
        return element
    star = pattern.find(b"*")
    if star < 0:
        return None
    arrow = pattern.find(b"->", star + 1)
    has_field = 0 <= arrow < len(pattern) - 2
    key = pattern[:star] + element + (pattern[star + 1 : arrow] if has_field else pattern[star + 1 :])
    record = view.record(key)
    if record is None or record[0] != (HASH if has_field else STRING):
        return None
    return hashes.value(view, key, pattern[arrow + 2 :]) if has_field else view.payload(key, STRING)


def elements_of(view: View, key: bytes, type_: int) -> list[bytes]:
    """The elements of the value at `key`, in its own order."""
    if type_ == LIST:
        found = lists.find(view, key)
        return [] if found is None else list(found.walk(0, found.length))
    if type_ == SET:
        return list(sets.find(view, key) or ())
    zset = zsets.find(view, key)
    return [] if zset is None else zsets.members_of(zset.rows())


def unsorted_range(view: View, key: bytes, type_: int, start: int, stop: int, reverse: bool) -> list[bytes]:
    """The elements [start, stop) of the list or sorted set at `key` in its own order, or from behind. Costs what it
    returns."""
    if type_ == ZSET:
        zset = zsets.find(view, key)
        return [] if zset is None else zsets.members_of(zset.slice_rows(start, stop, reverse))
    found = lists.find(view, key)
    if found is None:
        return []
    if reverse:
        start, stop = found.length - stop, found.length - start
    return list(found.walk(start, stop, reverse))


def count_of(view: View, key: bytes, type_: int) -> int:
    """How many elements the value at `key` has."""
    if type_ == LIST:
        found = lists.find(view, key)
        return 0 if found is None else found.length
    if type_ == SET:
        members = sets.find(view, key)
        return 0 if members is None else members.count
    zset = zsets.find(view, key)
    return 0 if zset is None else zset.count


def order(
    view: View, elements: list[bytes], pattern: bytes | None, *, alpha: bool, descending: bool, stored: bool
) -> None:
    """Sort `elements` by what `pattern` finds for them, or by themselves. Raises NotANumber."""
    by = {
        element: element if pattern is None else look_up(view, pattern, element)
        for element in paced(iter(dict.fromkeys(paced(iter(elements)))))
    }
    key: Callable[[bytes], Any]
    if not alpha:
        scores = {
            element: 0.0 if value is None else _score(value) for element, value in paced(iter(by.items()))
        }
        key = lambda element: (scores[element], element)  # noqa: E731
    else:
        texts = {
            element: (value is not None, (value or b"") if stored else (value or b"").partition(b"\0")[0])
            for element, value in paced(iter(by.items()))
        }
        key = texts.__getitem__
    _sort(elements, key, descending)


def _sort(elements: list[bytes], key: Callable[[bytes], Any], descending: bool) -> None:
    """`elements.sort`, in parts that are each done within a slice: what lies between two of a sample is one part."""
    if len(elements) <= sorted_at_once_max:
        elements.sort(key=key, reverse=descending)
        return
    samples = len(elements) // sorted_at_once_max * 8
    bounds = sorted(map(key, elements[:: len(elements) // samples]))[4::8]
    parts: list[list[bytes]] = [[] for _ in range(len(bounds) + 1)]
    for element in paced(iter(elements)):
        parts[bisect_right(bounds, key(element))].append(element)
    if descending:
        parts.reverse()
    elements.clear()
    for part in parts:
        breathe()
        part.sort(key=key, reverse=descending)
        elements += part


def _score(text: bytes) -> float:
    """The number that a text is, up to a null byte. Raises NotANumber."""
    text = text.partition(b"\0")[0].lower()
    if not _NUMBER.fullmatch(text):
        raise NotANumber
    number = float(text)
    if isinf(number) and b"inf" not in text:
        raise NotANumber
    if number == 0 and re.search(rb"[1-9]", text.partition(b"e")[0]):
        raise NotANumber
    return number
