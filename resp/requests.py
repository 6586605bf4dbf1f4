"""The request side of a connection: chunks of bytes in, lists of arguments out.

Three ways lead through here, and the quick ones never see what they could be hurt by.

One small request that arrives alone is what most clients send. `feed` divides it into its lines; when their
number and their lengths are what they say, the arguments are every second one of them.

A run of small requests, as pipelines have them, is for hiredis. It parses one in 0.2 µs but accepts far more than
a server may: integers, nulls and arrays inside a request, anything in place of the CR LF after a string, and it
reserves memory for whatever an array's header claims. So a compiled pattern goes over the chunk before it:
`_WHOLE_REQUESTS` matches any run of whole, flawless requests of a few short arguments, *with their lengths
checked* (a tree over the digits of the length: 64 leads to `.{64}`). That costs 0.15 µs a request. What it
matches is given to hiredis, which therefore meets neither errors nor incomplete requests: a Reader is borrowed
for one call and never holds the bytes of a connection.

The strict way, `_walk`, is for all the rest: long arguments, many arguments, inline commands, the request that
the end of the chunk cuts, broken input, and pipelines before authentication. It follows Valkey 9.1 check by
check and keeps the unfinished request in a `_Partial`. Memory follows the bytes that arrived, never the length
that a header claims; every byte is copied a bounded number of times, however it is cut into chunks. A request of many
short arguments that is all there is divided into its lines here too (`_divided`): MSET of ten keys is parsed in
half of the time, a longer one in less.

To extend: a new limit goes to `Limits` and to `_walk`, and must be one that no request of the quick ways can
exceed.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from hiredis import Reader

from resp.inline import split_inline
from resp.values import Error

__all__ = [
    "UNAUTHENTICATED_BULK_BYTES_MAX",
    "UNAUTHENTICATED_ELEMENTS_MAX",
    "Limits",
    "ProtocolError",
    "QueryBufferOverflow",
    "RequestParser",
]

# Valkey's limits for a client that must authenticate and has not: enough for AUTH and HELLO. They keep an
# unfinished request far below Valkey's third, 1 MiB of query buffer.
UNAUTHENTICATED_ELEMENTS_MAX: Final = 10
UNAUTHENTICATED_BULK_BYTES_MAX: Final = 16384

_ARGUMENT_OVERHEAD_BYTES = (
    41  # what CPython adds to an argument: the header of bytes, and a list's pointer to it
)
_LIMITS_BYTES_MIN = 1024
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_STAR, _DOLLAR, _CARRIAGE_RETURN, _LINE_FEED = b"*$\r\n"
_UNKNOWN = -1

# Lines that need no check: their lengths are within all limits.
_COUNTS: Final = {b"*%d" % count: count for count in range(1, UNAUTHENTICATED_ELEMENTS_MAX + 1)}
_BULK_LENGTHS: Final = {b"$%d" % size_bytes: size_bytes for size_bytes in range(_LIMITS_BYTES_MIN)}

_SMALL_BYTES_MAX: Final = 128
"""The most that is taken for one small request: were it a pipeline, dividing it would have been for nothing."""
_DIVIDED_BYTES_MAX: Final = 1 << 14
"""The most that is looked at for one request of many arguments: what comes behind it is copied."""
_ARGUMENT_BYTES_MIN: Final = len(b"$0\r\n\r\n")
_LINES: Final = {line: 2 * count + 2 for line, count in _COUNTS.items()}
"""First line of a request to how many lines it has, with the empty one behind the last CR LF."""
_BULK_LINES: Final = tuple(b"$%d" % size_bytes for size_bytes in range(_LIMITS_BYTES_MIN))

_LENGTH = re.compile(rb"0|-?[1-9][0-9]{0,18}")
"""An integer as Valkey reads it: no sign but minus, no leading zero. To be checked against int64
afterwards."""


class Limits:
    """What a client may send. One object for all connections of a server; set an attribute and it holds at
    once.

    Setting less than an attribute's minimum raises ValueError: below, the pattern would let pass what is
    forbidden.
    """

    __slots__ = ("bulk_bytes_max", "elements_max", "inline_bytes_max", "query_buffer_bytes_max")

    bulk_bytes_max: int
    """One argument (`proto-max-bulk-len`)."""
    elements_max: int
    """Arguments of one request, the command's name included."""
    inline_bytes_max: int
    """A line without its end: an inline command, or a length."""
    query_buffer_bytes_max: int
    """Memory of one unfinished request (`client-query-buffer-limit`)."""

    def __init__(
        self,
        bulk_bytes_max: int = 512 * 1024 * 1024,
        elements_max: int = 2**31 - 1,
        inline_bytes_max: int = 64 * 1024,
        query_buffer_bytes_max: int = 1024 * 1024 * 1024,
    ) -> None:
        self.bulk_bytes_max = bulk_bytes_max
        self.elements_max = elements_max
        self.inline_bytes_max = inline_bytes_max
        self.query_buffer_bytes_max = query_buffer_bytes_max

    def __setattr__(self, name: str, value: Any) -> None:
        minimum = UNAUTHENTICATED_ELEMENTS_MAX if name == "elements_max" else _LIMITS_BYTES_MIN
        if value < minimum:
            raise ValueError(f"{name} must be at least {minimum}, not {value}")
        object.__setattr__(self, name, value)


class ProtocolError(Exception):
    """The client broke the protocol: answer `requests`, then `reply`, then close the connection.

    When `lifted_by_authentication`, one of `requests` may be the AUTH that permits what follows: execute
    them, and if the parser's `authenticated` was set meanwhile, go on with `feed(b"")` instead.
    """

    def __init__(
        self, text: bytes, requests: list[list[bytes]], lifted_by_authentication: bool = False
    ) -> None:
        super().__init__(text.decode("latin-1"))
        self.reply = Error(b"ERR " + text)
        self.requests = requests
        self.lifted_by_authentication = lifted_by_authentication


class QueryBufferOverflow(ProtocolError):
    """An unfinished request grew over `query_buffer_bytes_max`. Redis closes such a connection without a
    word."""


class _Partial:
    """An unfinished request. Exists only while there is one."""

    __slots__ = ("args", "args_bytes", "bulk_bytes", "counted", "missing", "tail")

    def __init__(
        self, tail: bytearray, args: list[bytes], missing: int, bulk_bytes: int, before: "_Partial | None"
    ) -> None:
        """`before`: what it was when more of it arrived."""
        self.tail = tail
        """Bytes not parsed yet."""
        self.args = args
        counted, known_bytes = 0, 0
        if before is not None and before.args is args:
            counted, known_bytes = before.counted, before.args_bytes
        new_bytes = sum(map(len, args[counted:])) + _ARGUMENT_OVERHEAD_BYTES * (len(args) - counted)
        self.args_bytes: int = known_bytes + new_bytes
        """Memory of `args`. A request may have a million, and come in a thousand pieces: each is counted once."""
        self.counted: int = len(args)
        self.missing = missing
        """Arguments still to come. 0: the request's first line has not ended, and `args` is empty."""
        self.bulk_bytes = bulk_bytes
        """Length of the argument that `tail` begins with, or _UNKNOWN: `tail` begins with a line."""


class RequestParser:
    """Parses the requests of one connection. Costs 64 bytes while no request is unfinished."""

    __slots__ = ("_partial", "authenticated", "limits", "pending_bytes")

    def __init__(self, limits: Limits, authenticated: bool = True) -> None:
        self.limits = limits
        self.authenticated = authenticated
        """False applies the UNAUTHENTICATED limits as well. May be set at any time."""
        self.pending_bytes = 0
        """Memory of the unfinished request: bytes received, and 41 for each argument that is complete. 0:
        none."""
        self._partial: _Partial | None = None

    @property
    def lacking_bytes(self) -> int:
        """What is still to come of the argument that is arriving; 0 when that is not known."""
        partial = self._partial
        if partial is None or partial.bulk_bytes == _UNKNOWN:
            return 0
        return partial.bulk_bytes - len(partial.tail)

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The requests that `data` completes, in order; each a list of at least one argument.

        Requests without arguments (an empty line, `*0`, `*-1`) are left out, as Redis ignores them. Raises
        ProtocolError at what can not be parsed; its `requests` are those before that point. After it the
        parser repeats the error, unless the limits were changed.
        """
        if len(data) <= _SMALL_BYTES_MAX and self._partial is None:
            lines = data.split(b"\r\n")
            if _LINES.get(lines[0]) == len(lines) and not lines[-1]:
                args = lines[2::2]
                at = 1
                for argument in args:
                    if lines[at] != _BULK_LINES[len(argument)]:
                        break
                    at += 2
                else:
                    return [args]
        requests: list[list[bytes]] = []
        position = 0
        if self._partial is not None:
            data, position = self._resume(data, requests)
        size_bytes = len(data)
        while position < size_bytes:
            if self.authenticated:
                end = _match_whole_requests(data, position).end()  # type: ignore[union-attr]
                if end != position:
                    reader = _readers.pop() if _readers else _new_reader()
                    give, take = reader
                    give(data, position, end - position)
                    while (request := take()) is not False:
                        requests.append(request)
                    _readers.append(reader)
                    if end == size_bytes:
                        break
                    position = end
            position = self._walk(data, position, [], 0, requests)
        return requests

    def _resume(self, data: bytes, requests: list[list[bytes]]) -> tuple[bytes, int]:
        """Go on with the unfinished request. Returns the bytes left to parse, and where in them."""
        partial = self._partial
        assert partial is not None
        tail, bulk_bytes = partial.tail, partial.bulk_bytes
        if bulk_bytes != _UNKNOWN:
            lacking = bulk_bytes + 2 - len(tail)
            if lacking > len(data):
                tail += data
                self.pending_bytes += len(data)
                self._check_query_buffer(requests)
                return b"", 0
            tail += memoryview(data)[:lacking]
            if not tail.endswith(b"\r\n"):
                raise ProtocolError(b"Protocol error: invalid CRLF in request", requests)
            partial.args.append(bytes(memoryview(tail)[:bulk_bytes]))
            partial.missing -= 1
            position = lacking
            if not partial.missing:
                self._forget()
                requests.append(partial.args)
                return data, position
        else:
            # Only bytes that may end the line are worth the copy of all of it: else a line that comes byte by
            # byte would be quadratic. An empty feed asks to try again under other limits.
            line_end = b"\r" if partial.missing or tail.startswith(b"*") else b"\n"
            fits = 0 < len(tail) < len(tail) + len(data) <= self.limits.inline_bytes_max
            if fits and line_end not in tail and line_end not in data:
                tail += data
                self.pending_bytes += len(data)
                return b"", 0
            data = bytes(tail) + data
            position = 0
        position = self._walk(data, position, partial.args, partial.missing, requests)
        if self._partial is partial:
            self._forget()  # the request is complete
        return data, position

    def _walk(
        self, data: bytes, position: int, args: list[bytes], missing: int, requests: list[list[bytes]]
    ) -> int:
        """Parse one request, strictly. `missing` arguments are still to come to `args`; 0 begins a request.

        Returns the position behind it. When `data` ends before, keeps what there is and returns its end.
        """
        if not missing:
            if data[position] != _STAR:
                return self._walk_inline(data, position, requests)
            line_end = data.find(b"\r\n", position)
            count = _COUNTS.get(data[position:line_end]) if line_end >= 0 else None
            if count is None:
                count = self._read_count(data, position, requests)
                if count is None:
                    return self._keep(data, position, args, missing, _UNKNOWN, requests)
                line_end = data.find(b"\r\n", position)
            position = line_end + 2
            if count <= 0:
                return position
            missing = count
            if count > UNAUTHENTICATED_ELEMENTS_MAX and (divided := _divided(data, position, count)):
                whole, rest_bytes = divided
                requests.append(whole)
                return len(data) - rest_bytes
        while missing:
            line_end = data.find(b"\r\n", position)
            bulk_bytes = _BULK_LENGTHS.get(data[position:line_end]) if line_end >= 0 else None
            if bulk_bytes is None:
                bulk_bytes = self._read_bulk_length(data, position, args, missing, requests)
                if bulk_bytes is None:
                    return self._keep(data, position, args, missing, _UNKNOWN, requests)
                line_end = data.find(b"\r\n", position)
            start = line_end + 2
            end = start + bulk_bytes
            if end + 2 > len(data):
                return self._keep(data, start, args, missing, bulk_bytes, requests)
            if data[end : end + 2] != b"\r\n":
                raise self._failure(b"invalid CRLF in request", data, position, args, missing, requests)
            args.append(data[start:end])
            position = end + 2
            missing -= 1
        requests.append(args)
        return position

    def _read_count(self, data: bytes, position: int, requests: list[list[bytes]]) -> int | None:
        """The number of arguments, from the line at `position`. None when the line has not ended."""
        problem = b"invalid multibulk length"
        line_end = data.find(b"\r", position)
        if line_end < 0 and len(data) - position > self.limits.inline_bytes_max:
            problem = b"too big mbulk count string"
        elif line_end < 0 or line_end + 1 == len(data):
            return None
        elif data[line_end + 1] != _LINE_FEED:
            problem = b"invalid CRLF in request"
        else:
            count = _read_length(data, position + 1, line_end)
            if count is not None and count <= self.limits.elements_max:
                if self.authenticated or count <= UNAUTHENTICATED_ELEMENTS_MAX:
                    return count
                problem = b"unauthenticated multibulk length"
        raise self._failure(problem, data, position, [], 0, requests)

    def _read_bulk_length(
        self, data: bytes, position: int, args: list[bytes], missing: int, requests: list[list[bytes]]
    ) -> int | None:
        """The size of an argument, from the line at `position`. None when the line has not ended."""
        problem = b"invalid bulk length"
        line_end = data.find(b"\r", position)
        if line_end < 0 and len(data) - position > self.limits.inline_bytes_max:
            problem = b"too big bulk count string"
        elif line_end < 0 or line_end + 1 == len(data):
            return None
        elif data[position] != _DOLLAR:
            problem = b"expected '$', got '%c'" % data[position]
        elif data[line_end + 1] != _LINE_FEED:
            problem = b"invalid CRLF in request"
        else:
            bulk_bytes = _read_length(data, position + 1, line_end)
            if bulk_bytes is not None and 0 <= bulk_bytes <= self.limits.bulk_bytes_max:
                if self.authenticated or bulk_bytes <= UNAUTHENTICATED_BULK_BYTES_MAX:
                    return bulk_bytes
                problem = b"unauthenticated bulk length"
        raise self._failure(problem, data, position, args, missing, requests)

    def _walk_inline(self, data: bytes, position: int, requests: list[list[bytes]]) -> int:
        """Parse one inline command. As in Valkey, a line with a NUL in it never ends."""
        line_end = data.find(b"\n", position)
        if line_end < 0 or data.find(b"\0", position, line_end) >= 0:
            if len(data) - position > self.limits.inline_bytes_max:
                raise self._failure(b"too big inline request", data, position, [], 0, requests)
            return self._keep(data, position, [], 0, _UNKNOWN, requests)
        end = line_end - 1 if line_end > position and data[line_end - 1] == _CARRIAGE_RETURN else line_end
        try:
            args = split_inline(data[position:end])
        except ValueError:
            raise self._failure(b"unbalanced quotes in request", data, position, [], 0, requests) from None
        if args:
            requests.append(args)
        return line_end + 1

    def _keep(
        self,
        data: bytes,
        position: int,
        args: list[bytes],
        missing: int,
        bulk_bytes: int,
        requests: list[list[bytes]],
    ) -> int:
        """Keep what `data` has of an unfinished request. Returns the end of `data`."""
        tail = bytearray(memoryview(data)[position:])
        self._hold(_Partial(tail, args, missing, bulk_bytes, self._partial))
        self._check_query_buffer(requests)
        return len(data)

    def _hold(self, partial: _Partial) -> None:
        self._partial = partial
        self.pending_bytes = len(partial.tail) + partial.args_bytes

    def _forget(self) -> None:
        self._partial = None
        self.pending_bytes = 0

    def _check_query_buffer(self, requests: list[list[bytes]]) -> None:
        if self.pending_bytes > self.limits.query_buffer_bytes_max:
            raise QueryBufferOverflow(b"Protocol error: query buffer limit exceeded", requests)

    def _failure(
        self,
        problem: bytes,
        data: bytes,
        position: int,
        args: list[bytes],
        missing: int,
        requests: list[list[bytes]],
    ) -> ProtocolError:
        """The error to raise, in a state from which an empty feed tries the same bytes again."""
        tail = bytearray(memoryview(data)[position:])
        self._hold(_Partial(tail, args, missing, _UNKNOWN, self._partial))
        lifted = problem.startswith(b"unauthenticated")
        return ProtocolError(b"Protocol error: " + problem, requests, lifted)


def _divided(data: bytes, position: int, count: int) -> tuple[list[bytes], int] | None:
    """The `count` arguments that stand at `position`, if they are all there, short and flawless, and hold no CR LF; and
    how many bytes come behind them."""
    if not _ARGUMENT_BYTES_MIN * count <= len(data) - position <= _DIVIDED_BYTES_MAX:
        return None
    lines = data[position:].split(b"\r\n", 2 * count)
    if len(lines) <= 2 * count:
        return None
    args = lines[1::2]
    try:
        expected = list(map(_BULK_LINES.__getitem__, map(len, args)))
    except IndexError:
        return None
    return (args, len(lines[-1])) if lines[:-1:2] == expected else None


def _read_length(data: bytes, start: int, end: int) -> int | None:
    if not _LENGTH.fullmatch(data, start, end):
        return None
    length = int(data[start:end])
    return length if _INT64_MIN <= length <= _INT64_MAX else None


def _sized_string(digits_max: int) -> str:
    """A pattern for a bulk string whose length has at most so many digits, and is right."""

    def after(digits: str) -> str:
        size_bytes = int(digits or 0)
        payload = f"\r\n.{{{size_bytes}}}\r\n" if size_bytes else "\r\n\r\n"
        choices = [payload] if digits else []
        if len(digits) < digits_max and digits != "0":
            choices += [digit + after(digits + digit) for digit in "1234567890"]
        return choices[0] if len(choices) == 1 else f"(?:{'|'.join(choices)})"

    return r"\$" + after("")


# Requests that the pattern knows, the usual ones first. Each long string is 900 branches, which take a few ms
# to compile when the server starts, so they are where values are: SET key value, SET key value EX seconds.
_SHORT, _LONG = _sized_string(2), _sized_string(3)
_SHAPES = [
    f"2\r\n{_SHORT}{_SHORT}",
    f"3\r\n{_SHORT}{_SHORT}{_LONG}",
    f"1\r\n{_SHORT}",
    f"5\r\n{_SHORT}{_SHORT}{_LONG}{_SHORT}{_SHORT}",
    *[f"{count}\r\n(?:{_SHORT}){{{count}}}" for count in (4, 6, 7, 8, 9)],
]
_WHOLE_REQUESTS = re.compile(rf"(?:\*(?:{'|'.join(_SHAPES)}))*".encode(), re.DOTALL)
_match_whole_requests = _WHOLE_REQUESTS.match
"""Always matches, possibly nothing. What it matches ends where a request ends. (No possessive quantifiers:
CPython 3.11.0 to 3.11.4 match them wrongly.)"""


def _new_reader() -> tuple[Callable[[bytes, int, int], None], Callable[[], Any]]:
    reader = Reader(notEnoughData=False)
    return reader.feed, reader.gets


_readers = [_new_reader()]
"""Readers at rest, all empty. One is enough for one thread; taken and put back so that threads can not share
one."""
