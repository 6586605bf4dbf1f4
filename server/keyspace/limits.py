"""Up to where Redis holds a small value in a compact form: what OBJECT ENCODING says hangs on these numbers.

A value is stored here the same way whatever they are; they decide what its encoding is called, how SCAN and its kin
page through it, and the form that DUMP writes. They are parameters of CONFIG SET: the node's Settings have all of these
attributes and are what a server's views see; `Limits()` has the defaults, for a view without a server.

As in Redis a new limit acts when a value changes, not on what lies there. The leader's parameters count, and the
encoding lies in the value's head, so all replicas say the same.
"""

from dataclasses import dataclass
from typing import Protocol

_LIST_NODE_BYTES = (4096, 8192, 16384, 32768, 65536)
_STREAM_NODE_BYTES_MAX = 1 << 30
"""Of a node without a limit."""
_TRIM_NODES_MAX = 100
_TRIM_ENTRIES_DEFAULT = 10_000
_TRIM_ENTRIES_MAX = 1_000_000
_LIST_SAFE_BYTES_MAX = 8192
"""A list whose limit is a number of elements is still no listpack when it is larger than this."""


class HasLimits(Protocol):
    """What has the limits: Limits, and the node's Settings."""

    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    """Bytes of a field or a value."""
    proto_max_bulk_len: int
    """Bytes of a string that a command makes longer."""
    maxmemory_policy: bytes
    """What OBJECT says of how a key is used."""
    list_max_listpack_size: int
    """Elements of a list's node, or when negative -1 to -5 for 4 to 64 KiB."""
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    stream_node_max_bytes: int
    """Of a stream's node; 0 for no limit but STREAM_NODE_BYTES_MAX."""
    stream_node_max_entries: int
    """0 for no limit."""
    zset_max_listpack_entries: int
    zset_max_listpack_value: int


@dataclass(slots=True)
class Limits:
    """The defaults."""

    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    proto_max_bulk_len: int = 512 << 20
    maxmemory_policy: bytes = b"noeviction"
    list_max_listpack_size: int = -2
    set_max_intset_entries: int = 512
    set_max_listpack_entries: int = 128
    set_max_listpack_value: int = 64
    stream_node_max_bytes: int = 4096
    stream_node_max_entries: int = 100
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64


def counts_uses(limits: HasLimits) -> bool:
    """Whether it is counted how often a key is used, instead of when it was used last: OBJECT FREQ, IDLETIME."""
    return limits.maxmemory_policy.endswith(b"-lfu")


DEFAULTS = Limits()
"""Of a view without a server."""


def list_node_bytes(setting: int) -> int | None:
    """How large a list's node may be by `list-max-listpack-size`; None when that counts elements."""
    return None if setting >= 0 else _LIST_NODE_BYTES[min(-setting, len(_LIST_NODE_BYTES)) - 1]


def fits_list_node(setting: int, size_bytes: int, count: int) -> bool:
    """Whether a node of so many bytes and elements is none too large by `list-max-listpack-size`."""
    bytes_max = list_node_bytes(setting)
    if bytes_max is not None:
        return size_bytes <= bytes_max
    return size_bytes <= _LIST_SAFE_BYTES_MAX and count <= max(setting, 1)


def is_large_element(setting: int, size_bytes: int) -> bool:
    """Whether an element of so many bytes has a node of its own."""
    bytes_max = list_node_bytes(setting)
    return size_bytes > (_LIST_SAFE_BYTES_MAX if bytes_max is None else bytes_max)


def fits_stream_node(limits: HasLimits, size_bytes: int, entries: int) -> bool:
    """Whether a stream's node may receive one more entry: it has `entries`, and would be larger than `size_bytes`."""
    bytes_max = min(limits.stream_node_max_bytes or _STREAM_NODE_BYTES_MAX, _STREAM_NODE_BYTES_MAX)
    entries_max = limits.stream_node_max_entries
    return size_bytes < bytes_max and (not entries_max or entries < entries_max)


def stream_trim_entries(limits: HasLimits) -> int:
    """How many entries approximate trimming removes at most when it is not told."""
    return min(_TRIM_NODES_MAX * limits.stream_node_max_entries or _TRIM_ENTRIES_DEFAULT, _TRIM_ENTRIES_MAX)
