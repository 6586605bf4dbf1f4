"""Replies to bytes, in RESP2 or RESP3: see the table in `resp.values`.

`encode` looks at the exact type: bytes, lines, integers and null, which are nearly all replies, leave at
once. Other values that hold no values go through a table of functions per protocol. Values that hold values
are walked with a stack of iterators of our own, so nesting is bounded by memory and not by Python's recursion
limit.

To add a kind: a function in `_LEAVES` when it holds no other value, otherwise a branch in `_opened`.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from math import isfinite, isnan
from typing import Any, Final

from resp.values import (
    Attribute,
    BigNumber,
    Error,
    Members,
    NullArray,
    Push,
    Raw,
    Simple,
    Value,
    Verbatim,
)


class _Heads(dict[int, bytes]):
    """By a length: the end of the line before, and what stands before a string or a list that is so long."""

    def __init__(self, kind: bytes, end: bytes) -> None:
        self._form = b"\r\n" + kind + b"%d" + end
        super().__init__([(length, self._form % length) for length in range(1024)])

    def __missing__(self, length: int) -> bytes:
        return self._form % length


_BULK_HEADS: Final = _Heads(b"$", b"\r\n")
_LIST_HEADS: Final = _Heads(b"*", b"")
_BULK_HEADERS: Final = tuple(b"$%d\r\n" % size_bytes for size_bytes in range(1024))
_INTEGERS: Final = tuple(b":%d\r\n" % number for number in range(1024))
_BULK_HEADERS_COUNT: Final = len(_BULK_HEADERS)
_INTEGERS_COUNT: Final = len(_INTEGERS)
_NULLS: Final = {2: b"$-1\r\n", 3: b"_\r\n"}

_INTEGRAL_MAX = float(2**62)
"""Doubles without a fraction are printed as integers up to here (half of the range of int64), as Valkey
does."""


Pace = Callable[[Iterator[Any]], Iterator[Any]]
"""The same items; it may do something else between them."""

_paces: list[Pace] = []
_LONG_FROM: Final = 4096


def set_pace(pace: Pace) -> None:
    """Whoever encodes long replies in slices: have their items go through `pace`."""
    _paces[:] = [pace]


def encode(value: Value, protocol: int) -> bytes:
    """The bytes of one reply.

    `protocol` is 2 or 3. Raises TypeError for what is not a value of `resp.values` (a str for example), at
    any depth.
    """
    item: Any = value
    kind = type(item)
    if kind is bytes:
        size_bytes = len(item)
        if size_bytes < _BULK_HEADERS_COUNT:
            return _BULK_HEADERS[size_bytes] + item + b"\r\n"  # type: ignore[no-any-return]
        return b"$%d\r\n%b\r\n" % (size_bytes, item)
    if kind is Simple or kind is Error:
        return item.encoded  # type: ignore[no-any-return]
    if kind is int:
        if 0 <= item < _INTEGERS_COUNT:
            return _INTEGERS[item]  # type: ignore[no-any-return]
        return b":%d\r\n" % item
    if item is None:
        return _NULLS[protocol]
    leaf = _LEAVES[protocol].get(kind)
    if leaf is not None:
        return leaf(item)
    try:
        if kind is list:
            if item and type(item[0]) is bytes and type(item[-1]) is bytes:
                return _joined(b"*%d" % len(item), item, len(item), _bulks)
            if item and type(item[0]) is list:
                return _joined(b"*%d" % len(item), item, len(item), _rows)
        elif kind is Members:
            count = len(item.value)
            return _joined(b"%c%d" % (b"~" if protocol == 3 else b"*", count), item.value, count, _bulks)
        elif kind is dict:
            header = b"%%%d" % len(item) if protocol == 3 else b"*%d" % (2 * len(item))
            return _joined(header, chain.from_iterable(item.items()), len(item), _bulks)
    except TypeError:  # there are others among them
        pass
    return _walked(item, protocol)


def _joined(
    header: bytes, values: Iterable[Any], count: int, pieces: Callable[[list[Any]], Iterable[bytes]]
) -> bytes:
    """`count` values behind a header without its line end, as `pieces` makes them: each piece stands behind the line
    end of what is before it. Many are joined bit by bit, as joining a million pieces takes its time too."""
    if count <= _LONG_FROM:
        return header + b"".join(pieces(values if type(values) is list else list(values))) + b"\r\n"
    out = bytearray(header)
    rest = _paced(values)
    while some := list(islice(rest, _LONG_FROM)):
        out += b"".join(pieces(some))
    out += b"\r\n"
    return bytes(out)


def _bulks(strings: list[Any]) -> list[bytes]:
    """The pieces of nothing but bytes. Raises TypeError for what is not."""
    pieces: list[bytes] = []
    for each in strings:
        if type(each) is not bytes:
            raise TypeError
        pieces.append(_BULK_HEADS[len(each)])
        pieces.append(each)
    return pieces


def _rows(rows: list[list[Any]]) -> Iterable[bytes]:
    """The pieces of rows of bytes and of lists of bytes, such as a stream's entries. Raises TypeError for what is
    not."""
    heads, list_heads = _BULK_HEADS, _LIST_HEADS
    pieces: list[bytes] = []
    append = pieces.append
    for row in rows:
        if type(row) is not list:
            raise TypeError
        append(list_heads[len(row)])
        for cell in row:
            if type(cell) is bytes:
                append(heads[len(cell)])
                append(cell)
            elif type(cell) is list:
                append(list_heads[len(cell)])
                for value in cell:
                    append(heads[len(value)])
                    append(value)
            else:
                raise TypeError
    return pieces


def _paced(values: Iterable[Any]) -> Iterator[Any]:
    return _paces[0](iter(values)) if _paces else iter(values)


def format_double(number: float) -> bytes:
    """The text of a double as Valkey prints it: the shortest that reads back as the same number.

    `inf`, `-inf`, `nan`, `-0`; no fraction when there is none; an exponent (`1e+21`, `1e-7`) for what is very
    large or very small.
    """
    if number.is_integer() and -_INTEGRAL_MAX <= number <= _INTEGRAL_MAX:
        if number == 0:
            return b"0" if repr(number)[0] == "0" else b"-0"
        return b"%d" % number
    if not isfinite(number):
        return b"nan" if isnan(number) else b"inf" if number > 0 else b"-inf"
    if 0.001 <= abs(number) < 10000:  # here Python's layout is the same
        return repr(number).encode()
    return _shortest(number).encode()


def _shortest(number: float) -> str:
    """Python's shortest digits, laid out by the rules of fpconv, the library that Valkey prints doubles
    with."""
    mantissa, _, exponent_text = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + ("" if fraction == "0" else fraction)
    scale = int(exponent_text or 0) - (len(digits) - len(whole))
    stripped = digits.rstrip("0")
    scale += len(digits) - len(stripped)
    digits = stripped.lstrip("0")
    sign = "-" if number < 0 else ""
    exponent = scale + len(digits) - 1
    if scale >= 0 and exponent < len(digits) + 7:
        return sign + digits + "0" * scale
    if scale < 0 and (scale > -7 or abs(exponent) < 4):
        point = len(digits) + scale
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        return f"{sign}{digits[:point]}.{digits[point:]}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _line(value: Simple | Error) -> bytes:
    return value.encoded


def _verbatim3(value: Verbatim) -> bytes:
    return b"=%d\r\n%b:%b\r\n" % (len(value.value) + 4, value.format, value.value)


_LEAVES_BOTH: dict[type, Callable[[Any], bytes]] = {
    bytes: _bulk,
    int: lambda value: b":%d\r\n" % value,
    Simple: _line,
    Error: _line,
    Raw: lambda value: value.value,
}
_LEAVES: Final[dict[int, dict[type, Callable[[Any], bytes]]]] = {
    2: _LEAVES_BOTH
    | {
        type(None): lambda value: b"$-1\r\n",
        NullArray: lambda value: b"*-1\r\n",
        bool: lambda value: b":1\r\n" if value else b":0\r\n",
        float: lambda value: _bulk(format_double(value)),
        BigNumber: lambda value: _bulk(b"%d" % value.value),
        Verbatim: lambda value: _bulk(value.value),
    },
    3: _LEAVES_BOTH
    | {
        type(None): lambda value: b"_\r\n",
        NullArray: lambda value: b"_\r\n",
        bool: lambda value: b"#t\r\n" if value else b"#f\r\n",
        float: lambda value: b",%b\r\n" % format_double(value),
        BigNumber: lambda value: b"(%d\r\n" % value.value,
        Verbatim: _verbatim3,
    },
}


def _walked(root: Any, protocol: int) -> bytes:
    leaves = _LEAVES[protocol]
    out = bytearray()
    open_iterators: list[Iterator[Any]] = [iter((root,))]
    while open_iterators:
        for value in open_iterators[-1]:
            if type(value) is bytes:
                out += b"$%d\r\n%b\r\n" % (len(value), value)
                continue
            leaf = leaves.get(type(value))
            if leaf is not None:
                out += leaf(value)
                continue
            header, items = _opened(value, protocol)
            out += header
            if hasattr(value, "__len__") and len(value) > _LONG_FROM:
                items = _paced(items)
            open_iterators.append(items)
            break
        else:
            open_iterators.pop()
    return bytes(out)


def _opened(value: Any, protocol: int) -> tuple[bytes, Iterator[Any]]:
    """The header of a value that holds values, and what follows it."""
    resp3 = protocol == 3
    if isinstance(value, (list, tuple)):
        return b"*%d\r\n" % len(value), iter(value)
    if isinstance(value, dict):
        header = b"%%%d\r\n" % len(value) if resp3 else b"*%d\r\n" % (2 * len(value))
        return header, chain.from_iterable(value.items())
    if isinstance(value, (set, frozenset)):
        return b"%c%d\r\n" % (b"~" if resp3 else b"*", len(value)), iter(value)
    if isinstance(value, Members):
        return b"%c%d\r\n" % (b"~" if resp3 else b"*", len(value.value)), iter(value.value)
    if isinstance(value, Push):
        return b"%c%d\r\n" % (b">" if resp3 else b"*", len(value.value)), iter(value.value)
    if isinstance(value, Attribute):
        if not resp3:
            return b"", iter((value.value,))
        pairs = chain.from_iterable(value.attributes.items())
        return b"|%d\r\n" % len(value.attributes), chain(pairs, (value.value,))
    raise TypeError(f"not a RESP value: {value!r:.100} of type {type(value).__name__}")
