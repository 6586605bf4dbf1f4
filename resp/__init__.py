"""RESP2 and RESP3, the wire format of Redis: bytes in, requests out; values in, bytes out. No I/O, no state
but the unfinished request of a `RequestParser`.

    parser = RequestParser(limits)
    for args in parser.feed(chunk):           # [b"SET", b"key", b"value"]
        send(encode(execute(args), protocol))

Knows nothing of commands. Imports hiredis and the standard library. Replies of other servers are parsed by
hiredis.
"""

from resp.inline import split_inline
from resp.replies import encode, format_double, set_pace
from resp.requests import (
    UNAUTHENTICATED_BULK_BYTES_MAX,
    UNAUTHENTICATED_ELEMENTS_MAX,
    Limits,
    ProtocolError,
    QueryBufferOverflow,
    RequestParser,
)
from resp.values import (
    NULL_ARRAY,
    OK,
    PONG,
    QUEUED,
    Attribute,
    BigNumber,
    Error,
    Marker,
    Members,
    NullArray,
    Push,
    Raw,
    Simple,
    Value,
    Verbatim,
)

__all__ = [
    "NULL_ARRAY",
    "OK",
    "PONG",
    "QUEUED",
    "UNAUTHENTICATED_BULK_BYTES_MAX",
    "UNAUTHENTICATED_ELEMENTS_MAX",
    "Attribute",
    "BigNumber",
    "Error",
    "Limits",
    "Marker",
    "Members",
    "NullArray",
    "ProtocolError",
    "Push",
    "QueryBufferOverflow",
    "Raw",
    "RequestParser",
    "Simple",
    "Value",
    "Verbatim",
    "encode",
    "format_double",
    "set_pace",
    "split_inline",
]
