"""Frames on a byte stream: u32 length | u32 crc32 of the payload | payload, big endian.

FrameParser turns bytes in any pieces into payloads. It holds only bytes that arrived: a header that claims 4 GiB costs
nothing until it is either refused (above the limit of the lane) or its bytes come. A long payload, such as one large
value, is checked while it comes, so that its last bytes do not hold up the loop for all of them. No I/O here.
"""

import struct
from zlib import crc32

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a stranger's bytes: the second for text that is not UTF-8, the third for deep nesting."""

Payload = bytes | bytearray
"""What was received: a long one as it was put together."""
_HEADER = struct.Struct(">II")
HEADER_BYTES = _HEADER.size
FRAME_BYTES_LIMIT = (1 << 32) - 1
LONG_BYTES = 1 << 20
"""A longer payload is no matter of a moment: its checksum takes more than a millisecond."""
_ALTERED = "a frame does not match its checksum"


class FrameError(Exception):
    """The peer's bytes are not what they must be; the text is a clause for the log. The connection must be closed.

    A lane's on_frame raises it too, for a payload that it can not understand.
    """


def frame_header(*parts: bytes) -> bytes:
    """The header to send before a payload, given in one part or several. For a long one that takes its time, but not
    the interpreter's lock."""
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return _HEADER.pack(sum(map(len, parts)), checksum)


class FrameParser:
    """Bytes in, payloads out. Once it has raised it must not be used again."""

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        """Longer payloads are refused as soon as their header is there. May be changed between calls."""
        self._rest = bytearray()
        self._need_bytes = HEADER_BYTES
        self._long: bytearray | None = None
        """A long payload, as far as it is there. It is checked as it comes, and never copied."""
        self._lacking_bytes = 0
        """Of that."""
        self._checksum = self._checksum_so_far = 0
        """Likewise."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes received that are not yet a whole frame."""
        return len(self._rest) if self._long is None else HEADER_BYTES + len(self._long)

    @property
    def missing_bytes(self) -> int:
        """The fewest bytes after which `feed` can have something: reading no more takes nothing of what follows."""
        return self._need_bytes - len(self._rest) if self._long is None else self._lacking_bytes

    def feed(self, data: memoryview | bytes) -> list[Payload]:
        """Add received bytes; returns the payloads that are complete now. Raises FrameError."""
        payloads: list[Payload] = []
        view = memoryview(data)
        if self._long is not None:
            view = self._go_on(view, payloads)
        rest = self._rest
        if not rest:
            end = self._cut(view, payloads)
            rest += view[end:]
        else:
            rest += view
            if len(rest) < self._need_bytes:
                return payloads
            with memoryview(rest) as whole:
                end = self._cut(whole, payloads)
            del rest[:end]
        if self._need_bytes > LONG_BYTES and self._long is None and len(rest) >= HEADER_BYTES:
            self._begin_long()
        return payloads

    def _begin_long(self) -> None:
        """The rest is the beginning of a frame with a long payload."""
        length, self._checksum = _HEADER.unpack_from(self._rest)
        self._long, self._rest = self._rest[HEADER_BYTES:], bytearray()
        self._lacking_bytes = length - len(self._long)
        self._checksum_so_far = crc32(self._long)

    def _go_on(self, view: memoryview, payloads: list[Payload]) -> memoryview:
        """Add to the long payload; what is behind it."""
        assert self._long is not None
        more = view[: self._lacking_bytes]
        self._long += more
        self._checksum_so_far = crc32(more, self._checksum_so_far)
        self._lacking_bytes -= len(more)
        if not self._lacking_bytes:
            if self._checksum_so_far != self._checksum:
                raise FrameError(_ALTERED)
            payloads.append(self._long)
            self._long = None
            self._need_bytes = HEADER_BYTES
        return view[len(more) :]

    def _cut(self, view: memoryview, payloads: list[Payload]) -> int:
        """Take the payloads at the head of `view`; where the first incomplete frame begins."""
        start, size = 0, len(view)
        while size - start >= HEADER_BYTES:
            length, checksum = _HEADER.unpack_from(view, start)
            if length > self.frame_bytes_max:
                raise FrameError(
                    f"it announced a frame of {length} bytes; at most {self.frame_bytes_max} are taken"
                )
            end = start + HEADER_BYTES + length
            if end > size:
                self._need_bytes = end - start
                return start
            payload = bytes(view[start + HEADER_BYTES : end])
            if crc32(payload) != checksum:
                raise FrameError(_ALTERED)
            payloads.append(payload)
            start = end
        self._need_bytes = HEADER_BYTES
        return start
