"""What a hash is: fields with values under a key, each of which may expire on its own.

A hash is a collection of two tables:

    'f' crc32:u32 field                    -> 0 value                             the fields, in HSCAN's order
                                              1 expire_ms:u64 value
                                              2 added:u32 value
    'x' expire_ms:u64 crc32:u32 field      -> ''                                  those that expire, by time

    meta:  [next:u32] count:u32                                   no field expires
           next_ms:u64 count:u32 expiring:u32                     some do (ELEMENTS_EXPIRE in the head's encoding)

`count` and `expiring` are about the fields that lie here, those past their time included; `next_ms` is the time of
the first entry of the second table, by which the leader finds the key (see layout.py). A field past its time is gone
for every read here at once, exactly; its record goes when the leader's sweep comes by (`expire_due`), and the key
with the last one. A hash all of whose fields are over is no hash to these commands, though until the sweep other
commands still see its key.

As fields lie in the order of a checksum of their names, HSCAN needs no state, and a random field is found without a
walk: see crc_order.py.

The head's encoding is LISTPACK or HASHTABLE, sticky as in Redis. A listpack is shown in the order in which its fields
were added, and HSCAN gives it whole. While it lies in the head it lies in that order; in records of their own its
fields have numbers (`added`), of which `next` is the next.
"""

from binascii import crc32
from collections.abc import Iterable, Iterator
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

from server.errors import NOT_FLOAT, OVERFLOW, CommandError
from server.keyspace import events
from server.keyspace.collection import Collection
from server.keyspace.layout import ELEMENTS_EXPIRE, HASH
from server.keyspace.view import View
from server.types import longdouble
from server.types.crc_order import Row, Table
from server.types.numbers import INT64_MAX, INT64_MIN, parse_int64

LISTPACK, HASHTABLE = range(2)
ENCODING_NAMES = (b"listpack", b"hashtable")

PAGE_BYTES_MAX = 4 << 20
"""A page of HSCAN ends when it has read so much, however few fields that were: a bound on one turn of the loop."""
_META = Struct(">QII")
_ELEMENT = Struct(">cI")
_COUNT_BITS = 32
_COUNT_MAX = (1 << _COUNT_BITS) - 1
_COUNT_BYTES = 4
_TIME = Struct(">Q")
_FOREVER = b"\0"
_EXPIRES = b"\1"
_NUMBERED = b"\2"
_NUMBER_BYTES = 4
_NUMBER_MAX = (1 << 32) - 1
_NUMBERED_VALUE_AT = 1 + _NUMBER_BYTES
_VALUE_AT = (1, 1 + _TIME.size, _NUMBERED_VALUE_AT)
"""Where the value begins in a record, by its first byte."""
_INDEXED_AT = 1 + _TIME.size
"""Where the rest of the field's element begins in an entry of the second table."""
_FIELD_AT = 5
_by_number = itemgetter(1)
"""Records with numbers are ordered by these."""

_NOT_INTEGER = b"ERR hash value is not an integer"
_NOT_FLOAT = b"ERR hash value is not a float"
_ARGUMENT_INFINITE = b"ERR value is NaN or Infinity"
_INFINITE = b"ERR increment would produce NaN or Infinity"


class Field(NamedTuple):
    """A field that is there."""

    value: bytes
    expire_ms: int
    """Unix time; 0: does not expire."""


def _element(field: bytes) -> bytes:
    """Where `field` lies in the collection."""
    return _ELEMENT.pack(b"f", crc32(field)) + field


def _decode(record: bytes) -> Field:
    kind = record[0]
    return Field(record[_VALUE_AT[kind] :], _TIME.unpack_from(record, 1)[0] if kind == 1 else 0)


def _value(record: bytes) -> bytes:
    return record[_VALUE_AT[record[0]] :]


def _as_record(number: int, record: bytes) -> bytes:
    """How the record of a listpack's field that lies in the head is outside of it."""
    return _NUMBERED + number.to_bytes(_NUMBER_BYTES, "big") + record[1:]


def _index(element: bytes, expire_ms: int) -> bytes:
    """The entry in the second table of the field that lies at `element`."""
    return b"x" + _TIME.pack(expire_ms) + element[1:]


class Hash:
    """The hash at one key, for the length of one command; changes are written by `save`."""

    __slots__ = ("_count", "_elements", "_expiring", "_first_gone", "_next", "_next_ms", "_now_ms", "_view")

    def __init__(self, view: View, elements: Collection) -> None:
        self._view = view
        self._elements = elements
        self._now_ms = view.now_ms
        self._count = 0
        """Fields that lie here."""
        self._expiring = 0
        """Those of them that expire."""
        self._next_ms = 0
        """When the first of these does, 0 when there is none; while `_first_gone` a bound: none does before it."""
        self._first_gone = False
        """The field that expired first has gone: `save` has to look for the next one."""
        self._next = 0
        """The number of the next field to be added, while they have numbers."""
        if elements.encoding & ELEMENTS_EXPIRE:
            self._next_ms, self._count, self._expiring = _META.unpack(elements.meta)
        else:
            counts = int.from_bytes(elements.meta, "big")
            self._count, self._next = counts & _COUNT_MAX, counts >> _COUNT_BITS

    @property
    def is_listpack(self) -> bool:
        """Whether Redis would hold it as a listpack."""
        return self._elements.encoding == LISTPACK

    @property
    def spread(self) -> bool:
        """The fields are records of their own."""
        return self._elements.spread

    # -- reading ---------------------------------------------------------------------------------------------

    def find(self, field: bytes) -> Field | None:
        """What `field` holds, None when it is not there (any more)."""
        record = self._elements.get(_element(field))
        if record is None:
            return None
        found = _decode(record)
        return None if 0 < found.expire_ms <= self._now_ms else found

    def get(self, field: bytes) -> bytes | None:
        """The value of `field`, None when it is not there."""
        found = self.find(field)
        return None if found is None else found.value

    def count(self) -> int:
        """How many fields there are. Costs a step for each that is over and not yet deleted."""
        if not self._some_over():
            return self._count
        return self._count - sum(1 for _ in self._elements.scan(*self._over()))

    def everything(self) -> dict[bytes, bytes]:
        """Fields and values; those of a listpack as they were added."""
        if self._expiring:
            return {where[_FIELD_AT:]: _value(record) for where, record in self._there(self._rows())}
        field_at, value_at = _FIELD_AT, _NUMBERED_VALUE_AT
        rows = self._elements.items()
        if not self.spread:
            return {element[field_at:]: record[1:] for element, record in rows}
        if self.is_listpack:
            rows = sorted(rows, key=_by_number)
        return {element[field_at:]: record[value_at if record[0] else 1 :] for element, record in rows}

    def _rows(self) -> Iterable[tuple[bytes, bytes]]:
        """The records of the first table, in the order of `everything`."""
        if self._elements.spread:
            rows = self._elements.scan(b"f", b"g")
            return sorted(rows, key=_by_number) if self.is_listpack else rows
        return iter([row for row in self._elements.items() if row[0][:1] == b"f"])

    def _there(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those of `rows` whose fields are not past their time."""
        now_ms = self._now_ms
        for row in rows:
            if row[1][0] != 1 or _TIME.unpack_from(row[1], 1)[0] > now_ms:
                yield row

    def _by_checksum(self) -> Table:
        return Table(self._elements, b"f", self._there if self._expiring else None)

    def tables(self) -> list[tuple[bytes, bytes | None, int]]:
        """The tables of a spread hash: where each begins and ends, and how many records it has."""
        return [(b"f", b"g", self._count), (b"x", b"y", self._expiring)]

    def fields(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Fields, values and when they end (Unix time in milliseconds, 0 for never), in the order of `everything`."""
        for element, record in self._rows():
            value, expire_ms = _decode(record)
            if not 0 < expire_ms <= self._now_ms:
                yield element[_FIELD_AT:], value, expire_ms

    def page(self, cursor: int, count: int) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Where to go on, 0 at the end, and about `count` fields and values from `cursor` on; all of a listpack."""
        if self._elements.encoding == LISTPACK:
            return 0, list(self.everything().items())
        after, found = self._by_checksum().page(cursor, count, PAGE_BYTES_MAX)
        return after, [(where[_FIELD_AT:], _value(record)) for where, record in found]

    def random_field(self) -> tuple[bytes, bytes]:
        """A field and its value, each as likely as any other. There must be one."""
        size = self._count if self.spread else self.count()
        field, record = self._by_checksum().draw(size, self._view.random)
        return field, _value(record)

    def random_fields(self, count: int, size: int, *, repeat: bool) -> list[tuple[bytes, bytes]]:
        """`count` different ones of the `size` that are there, or with `repeat` each drawn from all."""
        drawn = self._by_checksum().draw_many(size, count, self._view.random, repeat=repeat)
        return [(field, _value(record)) for field, record in drawn]

    def _over(self) -> tuple[bytes, bytes]:
        """Where fields past their time lie in the second table. Not from its beginning: LevelDB would walk over those
        that have gone."""
        return b"x" + _TIME.pack(self._next_ms), b"x" + _TIME.pack(self._now_ms + 1)

    def _some_over(self) -> bool:
        """Whether fields may lie here that are past their time."""
        return self._expiring > 0 and self._next_ms <= self._now_ms

    def is_over(self) -> bool:
        """Whether all fields that lie here are past their time."""
        if not self._count:
            return True
        if self._expiring < self._count or not self._some_over():
            return False
        latest, _ = self._elements.range(b"x", b"y", reverse=True, limit=1)[0]
        return bool(_TIME.unpack_from(latest, 1)[0] <= self._now_ms)

    # -- writing ---------------------------------------------------------------------------------------------

    def set(self, field: bytes, value: bytes, expire_ms: int = 0, any_length: bool = False) -> bool:
        """Set `field`; it ends at `expire_ms`, in the future, or never (0). Whether it is new. `any_length`: a listpack
        stays one however long they are."""
        element = _element(field)
        record = self._elements.get(element)
        is_new = True
        old_ms = 0
        if record is None:
            self._count += 1
        elif record[0]:
            old_ms = _decode(record).expire_ms
            is_new = 0 < old_ms <= self._now_ms
        else:
            is_new = False
        if old_ms != expire_ms:
            self._reindex(element, old_ms, expire_ms)
        if not self._elements.encoding & HASHTABLE:
            limits = self._view.limits
            if (
                expire_ms
                or self._count > limits.hash_max_listpack_entries
                or (max(len(field), len(value)) > limits.hash_max_listpack_value and not any_length)
            ):
                self.leave_listpack()
        if expire_ms:
            self._elements.put(element, _EXPIRES + _TIME.pack(expire_ms) + value)
        elif self._elements.encoding == LISTPACK:
            self._put_in_listpack(element, value, record)
        else:
            self._elements.put(element, _FOREVER + value)
        return is_new

    def _put_in_listpack(self, element: bytes, value: bytes, old: bytes | None) -> None:
        elements = self._elements
        if not elements.spread:
            elements.put(element, _FOREVER + value, _as_record)
            if self.spread:
                self._next = self._count
        elif old is not None:
            elements.put(element, (old[:_NUMBERED_VALUE_AT] if old[:1] == _NUMBERED else _FOREVER) + value)
        else:
            elements.put(element, _as_record(self._next, _FOREVER + value))
            self._next = min(self._next + 1, _NUMBER_MAX)

    def leave_listpack(self) -> None:
        """Be a HASHTABLE from now on."""
        self._elements.encoding |= HASHTABLE

    def delete(self, field: bytes) -> bool:
        """Delete `field`. Whether it was there."""
        element = _element(field)
        record = self._elements.get(element)
        if record is None:
            return False
        old_ms = _decode(record).expire_ms
        self._delete(element, old_ms)
        return not 0 < old_ms <= self._now_ms

    def delete_over(self, limit: int) -> int:
        """Delete fields past their time, at most `limit` of them. How many they were."""
        over = self._elements.range(*self._over(), limit=limit)
        for entry, _ in over:
            self._delete(b"f" + entry[_INDEXED_AT:], _TIME.unpack_from(entry, 1)[0])
        return len(over)

    def save(self) -> bool:
        """Write the changes. False, and the key is deleted, when no field is left."""
        elements = self._elements
        if self.is_over():
            self._view.delete(elements.key)
            return False
        if self._expiring:
            if self._first_gone:
                first, _ = elements.range(self._over()[0], b"y", limit=1)[0]
                self._next_ms, self._first_gone = _TIME.unpack_from(first, 1)[0], False
            elements.encoding |= ELEMENTS_EXPIRE
            elements.meta = _META.pack(self._next_ms, self._count, self._expiring)
        else:
            elements.encoding &= ~ELEMENTS_EXPIRE
            numbered = elements.encoding == LISTPACK and elements.spread
            counts = self._next << _COUNT_BITS | self._count if numbered else self._count
            elements.meta = counts.to_bytes(2 * _COUNT_BYTES if numbered else _COUNT_BYTES, "big")
        elements.save()
        return True

    def _delete(self, element: bytes, expire_ms: int) -> None:
        self._elements.delete(element)
        self._count -= 1
        if expire_ms:
            self._reindex(element, expire_ms, 0)

    def _reindex(self, element: bytes, old_ms: int, new_ms: int) -> None:
        """The field at `element` goes from one expiry to another; 0 is none."""
        if old_ms:
            self._elements.delete(_index(element, old_ms))
            self._expiring -= 1
            if not self._expiring:
                self._next_ms, self._first_gone = 0, False
            elif old_ms == self._next_ms:
                self._first_gone = True
        if new_ms:
            self._elements.put(_index(element, new_ms), b"")
            self._expiring += 1
            if not self._next_ms or new_ms < self._next_ms:
                self._next_ms, self._first_gone = new_ms, False


def find(view: View, key: bytes) -> Hash | None:
    """The hash at `key`, None when there is none; raises WRONGTYPE."""
    elements = view.collection(key, HASH)
    if elements is None:
        return None
    found = Hash(view, elements)
    return None if found.is_over() else found


def find_or_create(view: View, key: bytes) -> Hash:
    """The hash at `key`, a new one when there is none; raises WRONGTYPE."""
    return find(view, key) or Hash(view, view.create(key, HASH))


def value(view: View, key: bytes, field: bytes) -> bytes | None:
    """The value of `field` of the hash at `key`, None when either is not there; raises WRONGTYPE."""
    record = view.value_in(key, HASH, _element(field))
    if record is None:
        return None
    kind = record[0]
    if not kind:
        return record[1:]
    if kind == 1 and _TIME.unpack_from(record, 1)[0] <= view.now_ms:
        return None
    return record[_VALUE_AT[kind] :]


def set_all(view: View, key: bytes, pairs: list[tuple[bytes, bytes]]) -> int:
    """Set fields, which from now on do not expire. How many are new."""
    fields = find_or_create(view, key)
    if len(pairs) > view.limits.hash_max_listpack_entries:
        fields.leave_listpack()  # even if some fields are the same
    added = 0
    for field, value in pairs:
        added += fields.set(field, value)
    fields.save()
    if view.notify:
        view.event(events.HASH, b"hset", key)
    return added


def delete_all(view: View, key: bytes, names: list[bytes]) -> list[bytes | None]:
    """Delete fields. The value that each had, None when it was not there."""
    fields = find(view, key)
    if fields is None:
        return [None] * len(names)
    values = []
    for name in names:
        values.append(fields.get(name))
        if values[-1] is not None:
            fields.delete(name)
    if any(value is not None for value in values):
        save_deleted(view, key, fields, b"hdel")
    return values


def save_deleted(view: View, key: bytes, fields: Hash, event: bytes) -> None:
    """Save `fields` after some were deleted by what `event` names."""
    left = fields.save()
    view.event(events.HASH, event, key)
    if not left:
        view.event(events.GENERIC, b"del", key)


def add_integer(view: View, key: bytes, field: bytes, delta: int) -> int:
    """Add `delta` to the counter in `field`, 0 when missing. Returns its new value; its expiry stays.

    Raises CommandError when the value is no 64-bit integer or would not be one afterwards.
    """
    fields = find_or_create(view, key)
    old = fields.find(field)
    number = 0 if old is None else parse_int64(old.value)
    if number is None:
        raise CommandError(_NOT_INTEGER)
    number += delta
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(OVERFLOW)
    fields.set(field, b"%d" % number, 0 if old is None else old.expire_ms)
    fields.save()
    view.event(events.HASH, b"hincrby", key)
    return number


def add_float(view: View, key: bytes, field: bytes, delta: bytes) -> bytes:
    """Add the number that `delta` spells to the one in `field`, 0 when missing. Returns the text of the sum; the expiry
    stays.

    Raises CommandError when either is no number, or one is infinite or the sum is.
    """
    try:
        increment = longdouble.parse(delta)
    except ValueError:
        raise CommandError(NOT_FLOAT) from None
    if increment is None:
        raise CommandError(_ARGUMENT_INFINITE)
    fields = find_or_create(view, key)
    old = fields.find(field)
    try:
        number = longdouble.ZERO if old is None else longdouble.parse(old.value)
    except ValueError:
        raise CommandError(_NOT_FLOAT) from None
    total = None if number is None else longdouble.add(number, increment)
    if total is None:
        raise CommandError(_INFINITE)
    text = longdouble.render(total)
    fields.set(field, text, 0 if old is None else old.expire_ms)
    fields.save()
    view.event(events.HASH, b"hincrbyfloat", key)
    return text


def random_fields(view: View, key: bytes, count: int) -> list[tuple[bytes, bytes]]:
    """Random fields and their values: `count` different ones or all that there are; when it is negative, so many, each
    drawn from all."""
    fields = find(view, key)
    if fields is None or not count:
        return []
    there = fields.count()
    if count >= there:
        return list(fields.everything().items())
    return fields.random_fields(abs(count), there, repeat=count < 0)


def expire_due(view: View, key: bytes, limit: int) -> int:
    """Delete at most `limit` fields of `key` that are past their time. How many they were."""
    elements = view.collection(key, HASH)
    if elements is None:
        return 0
    fields = Hash(view, elements)
    deleted = fields.delete_over(limit)
    save_deleted(view, key, fields, b"hexpired")
    return deleted
