"""Whether what a replica holds is consistent in itself: indexes, counts and elements tell the same story.

Read from the store directly, past the view that keeps them, so that a mistake there shows.
"""

from collections import Counter
from random import Random
from typing import Any

from resp import Members
from server.commands.table import lookup
from server.keyspace.layout import (
    ELEMENT_PREFIX,
    ELEMENTS_EXPIRE,
    EXPIRE_AT,
    EXPIRE_OFFSET,
    EXPIRES,
    HEAD_PREFIX,
    HEAD_PREFIX_BYTES,
    SPREAD,
    SWEEP_PREFIX,
    TYPE_NAMES,
    elements_expiry_key,
    expiry_key,
    spread_id,
)
from server.keyspace.view import View
from server.shard.replica import Replica


def problems(replica: Replica) -> list[str]:
    """What is wrong, in words."""
    found: list[str] = []
    rows: dict[int, list[bytes]] = {}
    records: dict[bytes, bytes] = {}
    for where, record in replica.scan(b"", b"\xff"):
        rows.setdefault(where[0], []).append(where)
        if where[0] == ord("h"):
            records[where] = record
    swept = {SWEEP_PREFIX.unpack(where)[1] for where in rows.get(ord("q"), [])}
    left = {ELEMENT_PREFIX.unpack(where)[1] for where in rows.get(ord("i"), [])}
    meta = replica.meta()
    spaces = {database.space: number for number, database in enumerate(meta.databases)}
    keys, expiring = Counter[int](), Counter[int]()
    due: dict[bytes, bool] = {}
    elements_due: dict[bytes, bool] = {}
    """Rows that there may be, and whether there must."""
    owners = Counter[int]()
    for where, record in records.items():
        space = HEAD_PREFIX.unpack_from(where)[1]
        if record[1] & SPREAD:
            owners[spread_id(record)] += 1
        if record[1] & EXPIRES:
            due[expiry_key(EXPIRE_AT.unpack_from(record, EXPIRE_OFFSET)[0], where)] = space not in swept
        if record[1] & ELEMENTS_EXPIRE:
            elements_due[elements_expiry_key(record, where)] = space not in swept
        if space in swept:
            continue
        if space not in spaces:
            found.append(f"a head in a space that no database has: {where!r}")
            continue
        keys[spaces[space]] += 1
        expiring[spaces[space]] += bool(record[1] & EXPIRES)
    for number, database in enumerate(meta.databases):
        if (database.keys, database.expires) != (keys[number], expiring[number]):
            found.append(
                f"database {number}: {database}, but {keys[number]} heads, {expiring[number]} with expiry"
            )
    for letter, expected in (("x", due), ("y", elements_due)):
        rows_there = set(rows.get(ord(letter), []))
        found += [f"no head for {row!r}" for row in rows_there - set(expected)]
        found += [f"no row {row!r}" for row, must in expected.items() if must and row not in rows_there]
    found += [f"elements {id_} have {count} owners" for id_, count in owners.items() if count > 1]
    found += [f"elements {id_} are in use and to be swept" for id_ in left & set(owners)]
    ids = {ELEMENT_PREFIX.unpack_from(where)[1] for where in rows.get(ord("e"), [])}
    found += [f"nobody owns elements {id_}" for id_ in ids - left - set(owners)]
    found += [f"id {id_} is not below the next" for id_ in owners if id_ >= meta.next_id]
    return found + _values(replica, records, spaces)


_SIZES: dict[bytes, tuple[list[bytes], list[bytes]]] = {
    b"list": ([b"llen"], [b"lrange", b"0", b"-1"]),
    b"hash": ([b"hlen"], [b"hkeys"]),
    b"set": ([b"scard"], [b"smembers"]),
    b"zset": ([b"zcard"], [b"zrange", b"0", b"-1"]),
    b"stream": ([b"xlen"], [b"xrange", b"-", b"+"]),
}
"""Type to the commands that say how many elements there are, and which."""


def _values(replica: Replica, records: dict[bytes, bytes], spaces: dict[int, int]) -> list[str]:
    """Values that contradict themselves."""
    found = []
    view = View(replica, replica.meta(), Random(0))
    view.begin_entry(1, 0)  # long ago: nothing is past its time
    for where, record in records.items():
        space, key = HEAD_PREFIX.unpack_from(where)[1], where[HEAD_PREFIX_BYTES:]
        type_ = TYPE_NAMES[record[0]]
        if space not in spaces or type_ not in _SIZES:
            continue
        view.begin(spaces[space], 2)
        size, every = (_ask(view, key, command) for command in _SIZES[type_])
        if size != len(every) or (not every and type_ != b"stream"):
            found.append(f"the {type_.decode()} {key!r} says it has {size} elements, and shows {len(every)}")
        if type_ == b"zset":
            found += _orders(view, key, every)
        if view.effects:
            found.append(f"reading {key!r} writes")
            view.rollback()
    return found


def _orders(view: View, key: bytes, every: list[bytes]) -> list[str]:
    """The order of a sorted set is that of its scores, and the ranks say so."""
    scores = [_ask(view, key, [b"zscore", member]) for member in every]
    order = sorted(range(len(every)), key=lambda at: (scores[at], every[at]))
    found = [] if order == list(range(len(every))) else [f"the sorted set {key!r} is not in order"]
    step = max(len(every) // 5, 1)
    return found + [
        f"the rank of {every[at]!r} in {key!r} is not {at}"
        for at in range(0, len(every), step)
        if _ask(view, key, [b"zrank", every[at]]) != at
    ]


def _ask(view: View, key: bytes, command: list[bytes]) -> Any:
    request = [command[0], key, *command[1:]]
    row = lookup(request)
    assert row is not None
    reply = row.handler(view, request)
    return reply.value if isinstance(reply, Members) else reply
