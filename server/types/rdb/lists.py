"""Lists in an RDB payload.

    18  nodes:length  [2 listpack:string | 1 element:string] …      since Redis 7.0; this is written
    14  nodes:length  ziplist:string …                              since 3.2
    10  ziplist:string
    01  elements:length  string …

Our lists have no nodes: they are made up as Redis would, as large as `list-max-listpack-size` lets them be.
"""

from collections.abc import Iterator
from typing import NamedTuple

from server.keyspace.limits import fits_list_node, is_large_element
from server.keyspace.view import View
from server.types import lists
from server.types.listpack_sizes import EMPTY_BYTES, element_bytes
from server.types.rdb import listpack, oldforms, wire
from server.types.rdb.wire import BadFormat, Reader

RDB_LIST, RDB_ZIPLIST, RDB_QUICKLIST, RDB_QUICKLIST_2 = 1, 10, 14, 18
_PLAIN, _PACKED = 1, 2


class ListValue(NamedTuple):
    """A list that was read."""

    elements: list[bytes]
    quicklist: bool
    """It had several nodes, or one for a large element, so it is no listpack however small it is."""

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it; True, there is such a key now."""
        lists.store(view, key, self.elements, quicklist=self.quicklist, expire_ms=expire_ms)
        return True


def read_list(reader: Reader) -> ListValue:
    """Type 01. Raises BadFormat."""
    elements = [reader.string() for _ in range(reader.length())]
    return ListValue(_some(elements), quicklist=False)


def read_ziplist(reader: Reader) -> ListValue:
    """Type 10. Raises BadFormat."""
    return ListValue(_some(oldforms.decode_ziplist(reader.string())), quicklist=True)


def read_quicklist(reader: Reader) -> ListValue:
    """Type 14. Raises BadFormat."""
    nodes = [oldforms.decode_ziplist(reader.string()) for _ in range(reader.length())]
    return _joined([node for node in nodes if node], plain=False)


def read_quicklist_2(reader: Reader) -> ListValue:
    """Type 18. Raises BadFormat."""
    nodes: list[list[bytes]] = []
    plain = False
    for _ in range(reader.length()):
        kind = reader.length()
        data = reader.string()
        if kind == _PLAIN and data:
            nodes.append([data])
            plain = True
        elif kind != _PACKED:
            raise BadFormat
        elif elements := listpack.decode(data):
            nodes.append(elements)
    return _joined(nodes, plain)


def _joined(nodes: list[list[bytes]], plain: bool) -> ListValue:
    elements = [element for node in nodes for element in node]
    return ListValue(_some(elements), quicklist=plain or len(nodes) > 1)


def _some(elements: list[bytes]) -> list[bytes]:
    if not elements:
        raise BadFormat
    return elements


def write(view: View, key: bytes) -> tuple[int, bytes]:
    """RDB type and body of the list at `key`."""
    found = lists.find(view, key)
    assert found is not None
    elements = found.walk(0, found.length)
    if found.encoding == lists.LISTPACK:
        return RDB_QUICKLIST_2, b"".join(
            (wire.length(1), wire.length(_PACKED), wire.string(listpack.encode(elements)))
        )
    nodes = list(_nodes(elements, view.limits.list_max_listpack_size))
    return RDB_QUICKLIST_2, b"".join((wire.length(len(nodes)), *nodes))


def _nodes(elements: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Quicklist nodes, encoded."""
    node: list[bytes] = []
    node_bytes = EMPTY_BYTES
    for element in elements:
        large = is_large_element(limit, len(element))
        size_bytes = element_bytes(element)
        if node and (large or not fits_list_node(limit, node_bytes + size_bytes, len(node) + 1)):
            yield wire.length(_PACKED) + wire.raw_string(listpack.encode(node))
            node, node_bytes = [], EMPTY_BYTES
        if large:
            yield wire.length(_PLAIN) + wire.raw_string(element)
        else:
            node.append(element)
            node_bytes += size_bytes
    if node:
        yield wire.length(_PACKED) + wire.raw_string(listpack.encode(node))
