"""What a command handler returns: plain Python values, and markers for what Python has no type for.

| Python value            | RESP3            | RESP2                           |
|-------------------------|------------------|---------------------------------|
| None                    | null `_`         | null bulk string `$-1`          |
| bytes                   | bulk string `$`  | bulk string                     |
| int                     | integer `:`      | integer                         |
| bool                    | boolean `#`      | integer 1 or 0                  |
| float                   | double `,`       | bulk string with the same text  |
| list, tuple             | array `*`        | array                           |
| dict                    | map `%`          | array of keys and values, flat  |
| set, frozenset          | set `~`          | array                           |
| Simple, Error           | line `+`, `-`    | the same                        |
| BigNumber               | big number `(`   | bulk string                     |
| Verbatim                | verbatim `=`     | bulk string without the format  |
| Push                    | push `>`         | array                           |
| Members                 | set `~`          | array                           |
| Attribute               | `|`, then value  | the value alone                 |
| NULL_ARRAY              | null `_`         | null array `*-1`                |
| Raw                     | the bytes as they are, whatever the protocol       |

A handler so never asks which protocol its client speaks. Text is bytes: a str is refused by the encoder,
because only the caller knows its encoding.

To add a kind: a marker class here, a line in the table above, its encoding in `resp.replies`.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias, final

_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class _Line:
    """One line of text, encoded when it is made: most of these are constants that are sent millions of
    times."""

    __slots__ = ("encoded", "text")

    encoded: bytes
    """What goes over the wire, in either protocol. Invariant: exactly one CR LF, at its end."""
    text: bytes

    _mark = b""

    def __init__(self, text: bytes) -> None:
        self.text = text.translate(_LINE_BREAKS)
        self.encoded = b"%b%b\r\n" % (self._mark, self.text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Line) and other.encoded == self.encoded

    def __hash__(self) -> int:
        return hash(self.encoded)


@final
class Simple(_Line):
    """A status such as OK. `text` is one line: CR and LF in it become spaces."""

    __slots__ = ()
    _mark = b"+"


@final
class Error(_Line):
    """An error reply. `text` is all of it, code first: `b"WRONGTYPE Operation against ..."`. CR and LF become
    spaces, so that text quoted from a client can not forge a second reply."""

    __slots__ = ()
    _mark = b"-"

    @property
    def code(self) -> bytes:
        """The first word, by which clients and error statistics tell errors apart."""
        return self.text.partition(b" ")[0]


class _Boxed:
    """A value with a marker around it. Equal when of one class with equal content."""

    __slots__ = ("value",)

    value: Any

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Boxed) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]  # the content may be a list


@final
class BigNumber(_Boxed):
    """An integer of any size."""

    __slots__ = ()

    def __init__(self, value: int) -> None:
        self.value = value


@final
class Verbatim(_Boxed):
    """Text for people. `format` is three bytes, `b"txt"` or `b"mkd"`; another length raises ValueError."""

    __slots__ = ("format",)

    def __init__(self, value: bytes, format: bytes = b"txt") -> None:
        if len(format) != 3:
            raise ValueError(f"a verbatim string's format is three bytes, not {format!r}")
        self.value = value
        self.format = format

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verbatim) and (other.value, other.format) == (self.value, self.format)


@final
class Push(_Boxed):
    """A message that answers no request: pub/sub, invalidations."""

    __slots__ = ()

    def __init__(self, value: "Sequence[Value]") -> None:
        self.value = value


@final
class Members(_Boxed):
    """A set whose members stand in the order given."""

    __slots__ = ()

    def __init__(self, value: "Sequence[Value]") -> None:
        self.value = value


@final
class Attribute(_Boxed):
    """`value` with out-of-band `attributes`, which only RESP3 clients are sent."""

    __slots__ = ("attributes",)

    def __init__(self, attributes: "Mapping[Any, Value]", value: "Value") -> None:
        self.attributes = attributes
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attribute) and (other.value, other.attributes) == (
            self.value,
            self.attributes,
        )


@final
class Raw(_Boxed):
    """Bytes that are encoded already, by another node for the same protocol."""

    __slots__ = ()

    def __init__(self, value: bytes) -> None:
        self.value = value


@final
class NullArray:
    """The class of NULL_ARRAY: "no array", as an aborted EXEC or a timed out BLPOP answers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL_ARRAY"


NULL_ARRAY: Final = NullArray()

OK: Final = Simple(b"OK")
PONG: Final = Simple(b"PONG")
QUEUED: Final = Simple(b"QUEUED")

Marker: TypeAlias = Simple | Error | BigNumber | Verbatim | Push | Members | Attribute | NullArray | Raw
Value: TypeAlias = (
    "bytes | int | bool | float | Sequence[Value] | Mapping[Any, Value] | AbstractSet[Any] | Marker | None"
)
"""Anything that `encode` takes. Sequences are lists and tuples, mappings are dicts."""
