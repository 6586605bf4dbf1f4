"""A string in an RDB payload.

00  string
"""

from typing import NamedTuple

from server.keyspace.layout import STRING
from server.keyspace.view import View
from server.types.rdb import wire
from server.types.rdb.wire import Reader

RDB_STRING = 0
_VALUE_BYTES_MAX = 512 << 20


class StringValue(NamedTuple):
    """A string that was read."""

    value: bytes

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it; True, there is such a key now."""
        view.put(key, STRING, self.value, expire_ms)
        return True


def read(reader: Reader) -> StringValue:
    """Raises BadFormat."""
    reader.decompressed_bytes_max = _VALUE_BYTES_MAX
    return StringValue(reader.string())


def write(view: View, key: bytes) -> tuple[int, bytes]:
    """RDB type and body of the string at `key`."""
    return RDB_STRING, wire.string(view.payload(key, STRING) or b"")
