"""A digest of a group's data, by which replicas can prove that they agree.

It covers databases, keys, whole head records (value, expiry, revision) and elements, not what waits to be swept.
The hashes of the keys are added up, so the order in which they are read does not matter.
"""

from hashlib import blake2b

from server.keyspace.layout import (
    ELEMENT_PREFIX_BYTES,
    HEAD_PREFIX,
    HEAD_PREFIX_BYTES,
    SPREAD,
    element_range,
    spread_id,
)
from server.shard.replica import Replica

DIGEST_BYTES = 20


def digest(replica: Replica) -> int:
    """The digest of what `replica` has applied, below 2**160. Blocks: for a worker thread.

    Entries that are applied meanwhile may be in it or not: compare replicas when nothing is written.
    """
    total = 0
    for db, database in enumerate(replica.meta().databases):
        start = HEAD_PREFIX.pack(b"h", database.space, 0, 0)
        stop = HEAD_PREFIX.pack(b"h", database.space + 1, 0, 0)
        for where, record in replica.scan(start, stop):
            key = where[HEAD_PREFIX_BYTES:]
            hashed = blake2b(b"%d %d " % (db, len(key)), digest_size=DIGEST_BYTES)
            hashed.update(key)
            hashed.update(record)
            if record[1] & SPREAD:
                for element, value in replica.scan(*element_range(spread_id(record))):
                    hashed.update(b"%d %d " % (len(element), len(value)))
                    hashed.update(element[ELEMENT_PREFIX_BYTES:])
                    hashed.update(value)
            total += int.from_bytes(hashed.digest(), "big")
    return total % (1 << 8 * DIGEST_BYTES)
