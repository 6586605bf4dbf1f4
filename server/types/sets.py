"""Sets: members under a key, in the order of their checksums (crc_order.py), values empty.

`meta` is a big endian integer of as many bytes as it takes: the number of members in its lower 48 bits.

Members are shown in the order in which Redis would: an intset by value, a listpack as its members were added. While it
lies in the head it lies in that order. In records of their own the members of a listpack have numbers for values, and
the next number is what `meta` has above the count.

The collection's encoding is how Valkey would hold the set in memory, for OBJECT ENCODING and for SSCAN, which pages
only through a hashtable. It changes as a set grows and never back: an intset while all are integers and up to 512; a
listpack up to 128 members of 64 bytes; a hashtable beyond (these are the limits as they come, see keyspace/limits.py).
`save` after changes; it deletes what has become empty.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from random import Random

from server.keyspace.breath import ordered, paced
from server.keyspace.collection import Collection
from server.keyspace.layout import SET
from server.keyspace.limits import HasLimits
from server.keyspace.order import tails
from server.keyspace.view import View
from server.types.crc_order import CRC_BYTES, Sample, Table, element
from server.types.numbers import parse_int64

INTSET, LISTPACK, HASHTABLE = range(3)
ENCODING_NAMES = (b"intset", b"listpack", b"hashtable")

READ_SHARE_MAX = 4
"""A set that is up to so many times as large as what is looked for in it is read whole: a scan's step costs about a
quarter of a look-up."""
_LIMIT_CHUNK_MIN = 128
_COUNT_BITS = 48
COUNT_MAX = (1 << _COUNT_BITS) - 1
_NUMBER_BYTES = 4
_NUMBER_MAX = (1 << 8 * _NUMBER_BYTES) - 1
_by_number = itemgetter(1)
"""Orders rows by their values, the numbers."""
_AHEAD_MAX = 1000
"""Members that one SPOP takes of those that were read ahead."""
_POP_REBUILD_SHARE = 5
"""SPOP of so many times what remains makes a new set of the rest, in Redis."""


def _value(where: bytes) -> int:
    """The integer that lies there."""
    return int(where[CRC_BYTES:])


def _as_record(number: int, _: bytes = b"") -> bytes:
    """The value of a listpack's member outside of the head."""
    return number.to_bytes(_NUMBER_BYTES, "big")


class Set:
    """The set under one key, good for one command."""

    __slots__ = ("_collection", "_next", "_view", "count", "encoding")

    def __init__(self, view: View, collection: Collection) -> None:
        self._view = view
        self._collection = collection
        self.count = int.from_bytes(collection.meta, "big") & COUNT_MAX
        """Members."""
        self.encoding = collection.encoding
        """INTSET, LISTPACK or HASHTABLE."""
        self._next: int | None = None
        """The number of the next member to be added, while they have numbers; None: as in `meta`."""

    def __contains__(self, member: bytes) -> bool:
        return self._collection.get(element(member)) is not None

    def __iter__(self) -> Iterator[bytes]:
        """In the order in which Redis shows them, as far as there is one."""
        rows = self._collection.items()
        if self.encoding == LISTPACK and self._collection.spread:
            rows = sorted(rows, key=_by_number)
        members = tails(map(itemgetter(0), rows), CRC_BYTES)
        return iter(ordered(members, int)) if self.encoding == INTSET else members

    def add(self, member: bytes) -> bool:
        """Add `member`; False when it was there."""
        where = element(member)
        if self._collection.get(where) is not None:
            return False
        self._put(where, member)
        return True

    def add_all(self, members: Iterable[bytes]) -> None:
        """Add `members`, of which none is there and none comes twice."""
        for member in members:
            self._put(element(member), member)

    def _put(self, where: bytes, member: bytes) -> None:
        encoding = _encoding_with(self._view.limits, self.encoding, self.count, member)
        if encoding == LISTPACK and self.encoding == INTSET:
            self._arrange()
        self.encoding = encoding
        self._place(where)

    def _arrange(self) -> None:
        """An intset becomes a listpack: its members are as if they had been added by value."""
        collection = self._collection
        if not collection.spread:
            collection.rearrange(_value)
            return
        for number, where in enumerate(sorted((where for where, _ in collection.items()), key=_value)):
            collection.put(where, _as_record(number))
        self._next = self.count

    def _place(self, where: bytes) -> None:
        """Add the member that lies at `where`, as the encoding has it now."""
        collection = self._collection
        self.count += 1
        if self.encoding != LISTPACK:
            collection.put(where, b"")
        elif not collection.spread:
            collection.put(where, b"", _as_record)
            if self._collection.spread:
                self._next = self.count
        else:
            if self._next is None:
                self._next = int.from_bytes(collection.meta, "big") >> _COUNT_BITS
            collection.put(where, _as_record(self._next))
            self._next = min(self._next + 1, _NUMBER_MAX)
        sample: Sample | None = self._view.derived.find(collection.id)
        if sample is not None:
            sample.added(where, self.count, self._view.random)

    def load(self, members: list[bytes], encoding: int) -> None:
        """Add `members`, different ones, to a set that has none, and have it be of `encoding`."""
        self.encoding = encoding
        for member in members:
            self._place(element(member))

    def remove(self, member: bytes) -> bool:
        """Remove `member`; False when it was not there."""
        where = element(member)
        if self._collection.get(where) is None:
            return False
        self._delete(where)
        return True

    def _delete(self, where: bytes) -> None:
        self._collection.delete(where)
        self.count -= 1
        sample: Sample | None = self._view.derived.find(self._collection.id)
        if sample is not None:
            sample.removed(where)

    def save(self) -> bool:
        """Write the changes. Whether there still is such a key: no set is empty."""
        collection = self._collection
        if not self.count:
            self._view.delete(collection.key)
            return False
        counts = self.count
        if self.encoding == LISTPACK and collection.spread:
            old = int.from_bytes(collection.meta, "big") >> _COUNT_BITS
            counts |= (old if self._next is None else self._next) << _COUNT_BITS
        collection.meta = counts.to_bytes((counts.bit_length() + 7) // 8, "big")
        collection.encoding = self.encoding
        collection.save()
        return True

    def draw(self, random: Random) -> bytes:
        """A random member."""
        return Table(self._collection).draw(self.count, random)[0]

    def draw_many(self, count: int, random: Random, *, repeat: bool = False) -> list[bytes]:
        """`count` random members; up to all of them, each once, or with `repeat` each drawn from all."""
        if count >= self.count and not repeat:
            return list(self)
        drawn = Table(self._collection).draw_many(self.count, count, random, repeat=repeat)
        return [member for member, _ in drawn]

    def pop(self, count: int, random: Random) -> list[bytes]:
        """Remove up to `count` random members, and return them."""
        if self._collection.spread and count <= min(self.count, _AHEAD_MAX):
            popped = self._pop_ahead(count, random)
        elif count >= self.count:
            popped = list(self)
            self.count = 0
        else:
            popped = self._pop_drawn(count, random)
        if self.encoding == HASHTABLE and 0 < self.count * _POP_REBUILD_SHARE <= count:
            self.encoding = max(LISTPACK, _encoding_of(self._view.limits, list(self)))
        return popped

    def _pop_drawn(self, count: int, random: Random) -> list[bytes]:
        drawn = self.draw_many(count, random)
        for member in drawn:
            self._delete(element(member))
        return drawn

    def _pop_ahead(self, count: int, random: Random) -> list[bytes]:
        """`pop`, from the second one in a row on from what was read ahead."""
        collection, derived = self._collection, self._view.derived
        popped: list[bytes] = []
        sample: Sample | None = derived.find(collection.id)
        if sample is None:
            derived.keep(collection.id, Sample())
        else:
            while len(popped) < count and (sample.chosen or sample.fill(collection, self.count, random)):
                where = sample.chosen[-1]
                collection.delete(where)
                sample.chosen.pop()
                self.count -= 1
                popped.append(where[CRC_BYTES:])
        return popped if len(popped) == count else popped + self._pop_drawn(count - len(popped), random)

    def page(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Where to go on, 0 at the end, and about `count` members from `cursor` on; all that a small set has."""
        if self.encoding != HASHTABLE:
            return 0, list(self)
        after, found = Table(self._collection).page(cursor, count)
        return after, [where[CRC_BYTES:] for where, _ in found]

    def common(self, members: list[bytes]) -> list[bytes]:
        """Those of `members` that are in this set, in their order."""
        if self.count <= READ_SHARE_MAX * len(members):
            mine = set(self)
            return [member for member in paced(iter(members)) if member in mine]
        return [member for member in members if member in self]


def _encoding_with(limits: HasLimits, encoding: int, count: int, member: bytes) -> int:
    """What a set of `count` members becomes when `member` is added."""
    if encoding == INTSET and parse_int64(member) is not None:
        return INTSET if count < limits.set_max_intset_entries else HASHTABLE
    if (
        encoding != HASHTABLE
        and count < limits.set_max_listpack_entries
        and len(member) <= limits.set_max_listpack_value
    ):
        return LISTPACK
    return HASHTABLE


def _encoding_of(limits: HasLimits, members: list[bytes]) -> int:
    """What a set becomes to which these are added one by one."""
    encoding = INTSET
    for count, member in enumerate(members):
        encoding = _encoding_with(limits, encoding, count, member)
        if encoding == HASHTABLE:
            break
    return encoding


def find(view: View, key: bytes) -> Set | None:
    """The set at `key`, None when there is no such key; raises WRONGTYPE when it is no set."""
    collection = view.collection(key, SET)
    return None if collection is None else Set(view, collection)


def contains(view: View, key: bytes, member: bytes) -> bool:
    """Whether `member` is in the set at `key`; raises WRONGTYPE."""
    return view.value_in(key, SET, element(member)) is not None


def find_to_add(view: View, key: bytes, members: list[bytes]) -> Set:
    """The set at `key`, a new one when there is none, about to receive `members`. Raises WRONGTYPE.

    How many there are to come already decides how it is held.
    """
    found = find(view, key)
    limits = view.limits
    if found is None:
        found = Set(view, view.create(key, SET))
        is_intset = len(members) <= limits.set_max_intset_entries and parse_int64(members[0]) is not None
        found.encoding = INTSET if is_intset else LISTPACK
    if len(members) > (
        limits.set_max_intset_entries if found.encoding == INTSET else limits.set_max_listpack_entries
    ):
        found.encoding = HASHTABLE
    return found


def store(view: View, key: bytes, members: Iterable[bytes], encoding: int) -> int:
    """Make `key` the set of `members`, all different, whatever it was; without members there is none. Returns how many.
    `encoding`: as it begins."""
    made = Set(view, view.create(key, SET))
    made.encoding = encoding
    made.add_all(members)
    made.save()
    return made.count


def intersection(sets: list[Set | None], limit: int = 0) -> list[bytes]:
    """The members that all of `sets` have, of which None is an empty one; no more than `limit` when that is not 0."""
    present = [each for each in sets if each is not None]
    if len(present) < len(sets):
        return []
    smallest, *others = sorted(present, key=lambda each: each.count)
    members = iter(smallest)
    found: list[bytes] = []
    # A limit may be reached long before the end, so then not everything is looked up at once.
    while chunk := list(islice(members, max(limit, _LIMIT_CHUNK_MIN) if limit else None)):
        for other in others:
            chunk = other.common(chunk)
        found += chunk
        if limit and len(found) >= limit:
            return found[:limit]
    return found


def intersection_encoding(view: View, members: list[bytes]) -> int:
    """How the stored intersection `members` begins."""
    return INTSET if _encoding_of(view.limits, members) == INTSET else LISTPACK


def union(sets: list[Set | None]) -> list[bytes]:
    """The members that any of `sets` has."""
    present = [each for each in sets if each is not None]
    found = list(dict.fromkeys(chain.from_iterable(present)))
    if len(present) > 1 and all(each.encoding == INTSET for each in present):
        return ordered(found, int)
    return found


def difference(sets: list[Set | None]) -> list[bytes]:
    """The members of the first set that no other has."""
    first, *others = sets
    found = [] if first is None else list(first)
    for other in others:
        if other is not None and found:
            common = set(other.common(found))
            found = [member for member in paced(iter(found)) if member not in common]
    return found


def difference_encoding(view: View, sets: list[Set | None]) -> int:
    """How the stored difference of `sets` begins: where the first is large, Redis copies it and then takes away."""
    first, *others = sets
    if first is None:
        return INTSET
    sizes = [each.count for each in (first, *others) if each is not None]
    if len(sizes) * first.count // 2 <= sum(sizes):
        return INTSET
    return _encoding_of(view.limits, list(first))
