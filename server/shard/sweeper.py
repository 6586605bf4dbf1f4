"""Deleting what nobody can see any more: elements whose key is gone, spaces that were flushed, generations that a
snapshot replaced.

Every node does this for itself, on a worker thread, some hundred keys at a time. Nothing of it goes through
the log: what is swept is not part of the group's state, and the note of it ('i', 'q' and 'g' records) goes last. A
round begins where the one before has ended (`Replica.swept_to`), as LevelDB would walk over all that was deleted. Not
while a snapshot is being read from here: its chunks are of different times, and could have a record without its note.
Nor while the data here is of different times, as it is after a snapshot and after a restart until the log is applied: a
database that will be flushed may hold a key that will have been moved out of it, and their elements are the same.
"""

from typing import NamedTuple

from server.keyspace.layout import (
    ELEMENT_PREFIX,
    HEAD_PREFIX,
    SPREAD,
    SWEEP_PREFIX,
    element_range,
    expiry_rows,
    orphans_key,
    spread_id,
)
from server.keyspace.leveldb import APPLIED_KEY, DATA_PREFIX, DataStore, data_prefix
from server.keyspace.store import prefix_end
from server.shard.replica import Replica

keys_per_round_max = 1000
"""Deleted in one batch: it should not take much longer than one of applied entries."""


def sweep(store: DataStore, replica: Replica, *, consistent: bool = True) -> bool:
    """Delete some of what is left over of a group; whether there is more. `consistent`: as of raft's Group, when this
    was called. Blocks: for a worker thread."""
    if not replica.sweep_due:
        return False
    replica.sweeping = True
    try:
        return _sweep_some(store, replica, consistent)
    finally:
        replica.sweeping = False


def _sweep_some(store: DataStore, replica: Replica, consistent: bool) -> bool:
    replica.sweep_due = False  # before the look: what is added meanwhile sets it again
    for note, _ in store.scan(
        DATA_PREFIX.pack(b"g", replica.group, 0), APPLIED_KEY.pack(b"g", replica.group + 1)
    ):
        _, group, generation = DATA_PREFIX.unpack(note)
        prefix = data_prefix(group, generation)
        replica.sweep_due = True
        _delete_some(store, replica, note, prefix, prefix_end(prefix), b"")
        return True
    if not consistent:
        replica.sweep_due = True
        return False
    prefix = replica.prefix
    for note, _ in store.scan(prefix + b"i", prefix + b"j"):
        _, id_ = ELEMENT_PREFIX.unpack(note[len(prefix) :])
        start, stop = element_range(id_)
        replica.sweep_due = True
        if _delete_some(store, replica, note, prefix + start, prefix + stop, b"").done:
            replica.swept_values += 1
        return True
    for note, _ in store.scan(prefix + b"q", prefix + b"r"):
        _, space = SWEEP_PREFIX.unpack(note[len(prefix) :])
        replica.sweep_due = True
        start = prefix + HEAD_PREFIX.pack(b"h", space, 0, 0)
        stop = prefix + HEAD_PREFIX.pack(b"h", space + 1, 0, 0)
        replica.swept_values += _delete_some(store, replica, note, start, stop, prefix).plain_heads
        return True
    return False


class _Deleted(NamedTuple):
    """What a round came to."""

    done: bool
    """Nothing is left of it."""
    plain_heads: int
    """Heads whose values went with them."""


def _delete_some(
    store: DataStore, replica: Replica, note: bytes, start: bytes, stop: bytes, heads_of: bytes
) -> _Deleted:
    """Delete the first keys of [start, stop), and `note` when nothing is left. `heads_of`: the group's prefix
    when the keys are heads, whose expiry index goes with them, and whose elements are left behind."""
    batch = store.batch()
    done, plain_heads = False, 0
    if start < replica.swept_to < stop:
        start = replica.swept_to
    for count, (key, record) in enumerate(store.scan(start, stop), start=1):
        batch.delete(key)
        if heads_of:
            for row in expiry_rows(record, key[len(heads_of) :]):
                batch.delete(heads_of + row)
            if record[1] & SPREAD:
                batch.put(heads_of + orphans_key(spread_id(record)), b"")
            else:
                plain_heads += 1
        if count == keys_per_round_max:
            replica.swept_to = key
            break
    else:
        batch.delete(note)
        replica.swept_to = b""  # the next snapshot may be staged where one was that is swept now
        done = True
    store.write(batch)
    return _Deleted(done, plain_heads)
