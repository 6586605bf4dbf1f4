"""One command over several groups: its parts, and the one reply made of theirs.

The groups answer in RESP2 whatever the client speaks; the joined value is encoded for the client at the end.
The first error of a part is the error of the whole; but that a write was not applied is only said when no part of it
was.
"""

from typing import Any

import hiredis

from resp import Error, encode
from server.commands.table import Args, Command, Join
from server.errors import OUTCOME_UNKNOWN, PARTLY_APPLIED
from server.shard.call import Overtaken, Slot

_UNKNOWN = b"-" + OUTCOME_UNKNOWN.split(b" ", 1)[0]


def decode(reply: bytes) -> Any:
    """One encoded reply as a value: bytes, int, None, list; hiredis.ReplyError for an error."""
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


class _Part:
    """The slot of one group's share."""

    __slots__ = ("_gather", "_number")

    def __init__(self, gather: "Gather", number: int) -> None:
        self._gather = gather
        self._number = number

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """See Slot. What asks all groups about all of their keys (DBSIZE) is of no one moment anyway."""
        return self._gather.by_keys and self._gather.slot.overtaken(args, known)

    def fill(self, reply: bytes) -> None:
        """See Slot."""
        self._gather.take(self._number, reply)


class Gather:
    """Collects the replies of the parts into `slot`."""

    __slots__ = ("_join", "_missing", "_places", "_protocol", "_replies", "_writes", "slot")

    def __init__(
        self, row: Command, places: list[list[int]] | None, parts: int, protocol: int, slot: Slot
    ) -> None:
        """`places`: for Join.ORDER by keys: of each part, where its elements stand in the whole."""
        self._join = row.join
        self._writes = row.is_write
        self._places = places
        self._replies: list[bytes] = [b""] * parts
        self._missing = parts
        self._protocol = protocol
        self.slot = slot
        """Of the whole."""

    @property
    def by_keys(self) -> bool:
        """Each part has keys of its own."""
        return self._places is not None

    def part(self, number: int) -> Slot:
        """The slot for part `number`, 0 up."""
        return _Part(self, number)

    def take(self, number: int, reply: bytes) -> None:
        """Part `number` answered."""
        self._replies[number] = reply
        self._missing -= 1
        if not self._missing:
            self.slot.fill(self._joined())

    def _joined(self) -> bytes:
        errors = [reply for reply in self._replies if reply[0] == 45]
        if errors:
            return self._error(errors)
        if self._join is Join.FIRST:
            return self._replies[0]
        values = [decode(reply) for reply in self._replies]
        if self._join is Join.SUM:
            return encode(sum(values), self._protocol)
        if self._places is None:
            return encode([element for part in values for element in part], self._protocol)
        whole: list[Any] = [None] * sum(map(len, self._places))
        for places, part in zip(self._places, values, strict=True):
            for place, element in zip(places, part, strict=True):
                whole[place] = element
        return encode(whole, self._protocol)

    def _error(self, errors: list[bytes]) -> bytes:
        if not self._writes:
            return errors[0]
        if len(errors) < len(self._replies):
            return encode(Error(PARTLY_APPLIED), self._protocol)
        return next((error for error in errors if error.startswith(_UNKNOWN)), errors[0])


def split_by_group(
    command: Command, args: Args, groups: list[int]
) -> tuple[dict[int, Args], list[list[int]]]:
    """The requests of each group's share of a SPREAD_KEYS command, and where their keys stand among all keys.

    `groups`: the group of each key, in order. Such commands are a name and then nothing but keys.
    """
    requests: dict[int, Args] = {}
    places: dict[int, list[int]] = {}
    for place, (at, group) in enumerate(zip(command.keys.indexes(args), groups, strict=True)):
        if group not in requests:
            requests[group] = [args[0]]
            places[group] = []
        requests[group].append(args[at])
        places[group].append(place)
    return requests, list(places.values())
