"""What crosses between Python and Lua: replies as a script has them, and the words of a command that it calls.

A string is bytes on both sides. Numbers of Lua are doubles, so an int that they do not hold exactly becomes one here.
Everything else becomes a table: of a reply, as RESP 2 or 3 shows it to scripts; of a list or dict, the same.
"""

from collections.abc import Iterable
from math import copysign, isnan
from typing import Any

from resp import format_double
from resp.values import NULL_ARRAY, Attribute, BigNumber, Error, Members, Simple, Verbatim
from server.keyspace.breath import breathe, paced
from server.scripting.wording import VALKEY, Wording, said_in

_EXACT = 1 << 53


class Values:
    """Makes those of one Lua state. Whoever calls has lifted its limit, see memory.py."""

    def __init__(self, lua: Any) -> None:
        self._table = lua.table_from

    def of_data(self, value: Any) -> Any:
        """A list or dict, at any depth, as a table."""
        breathe()
        if isinstance(value, list):
            return self._table([self.of_data(item) for item in value])
        if isinstance(value, dict):
            return self._table({key: self.of_data(item) for key, item in value.items()})
        return value

    def of_error(self, error: Error, wording: Wording = VALKEY) -> Any:
        """An error reply."""
        return self._table({b"err": said_in(wording, error.text), b"ignore_error_stats_update": True})

    def of_reply(self, value: Any, resp3: bool) -> Any:
        """A reply, in the RESP version that the script has chosen."""
        kind = type(value)
        if kind is bytes:
            return value
        if kind is int:
            return value if -_EXACT <= value <= _EXACT else float(value)
        if value is None or value is NULL_ARRAY:
            return None if resp3 else False
        if kind is bool:
            return value if resp3 else int(value)
        if kind is Simple:
            return self._table({b"ok": value.text})
        if kind is Error:
            return self.of_error(value)
        if kind is float:
            return self._table({b"double": value}) if resp3 else format_double(value)
        if kind is BigNumber:
            digits = b"%d" % value.value
            return self._table({b"big_number": digits}) if resp3 else digits
        if kind is Attribute:
            return self.of_reply(value.value, resp3)
        if kind is Verbatim:
            if not resp3:
                return value.value
            text = self._table({b"string": value.value, b"format": value.format})
            return self._table({b"verbatim_string": text})
        if isinstance(value, dict):
            pairs = {
                self.of_reply(key, resp3): self.of_reply(item, resp3)
                for key, item in paced(iter(value.items()))
            }
            if resp3:
                return self._table({b"map": self._table(pairs)})
            return self._table([each for pair in pairs.items() for each in pair])
        if isinstance(value, (set, frozenset, Members)):
            members: Iterable[Any] = value.value if isinstance(value, Members) else value
            items = [self.of_reply(item, resp3) for item in paced(iter(members))]
            if resp3:
                return self._table({b"set": self._table(dict.fromkeys(items, True))})
            return self._table(items)
        return self._table([self.of_reply(item, resp3) for item in paced(iter(value))])


def as_words(given: tuple[Any, ...]) -> list[bytes] | None:
    """The words of a command, of which numbers may be some; None when there is something else."""
    words = list(given)
    for word in words:
        if type(word) is not bytes:
            break
    else:
        return words
    for at, word in enumerate(words):
        if type(word) is int:
            words[at] = b"%d" % word if abs(word) < 1 << 63 else format_double(float(word))
        elif type(word) is float:
            words[at] = b"-nan" if isnan(word) and copysign(1.0, word) < 0 else format_double(word)
        elif type(word) is not bytes:
            return None
    return words
