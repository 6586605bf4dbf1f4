"""What a group knows of its databases: which space each lies in, and how many keys it holds.

Kept by the leader, part of every log entry that changes it, so that replicas have the counts for nothing and
DBSIZE costs one look. Databases that were never touched lie in the space of their own number.
"""

import msgspec

DATABASES = 16


class Database(msgspec.Struct, array_like=True):
    """One database of one group."""

    space: int
    keys: int = 0
    """Head records, expired ones that are not yet deleted included, as in Redis."""
    expires: int = 0
    """Of these, how many have an expiry."""


class Meta(msgspec.Struct, array_like=True):
    """The databases of one group."""

    databases: list[Database]
    next_space: int
    next_id: int = 1
    """Of elements, see collection.py. An id is used once: it only grows."""

    @classmethod
    def new(cls) -> "Meta":
        """An empty group."""
        return cls([Database(number) for number in range(DATABASES)], DATABASES)

    @classmethod
    def decode(cls, record: bytes) -> "Meta":
        """Read the record; raises msgspec.DecodeError when it is not one."""
        return msgspec.msgpack.decode(record, type=cls)

    def encode(self) -> bytes:
        """The record."""
        return msgspec.msgpack.encode(self)
