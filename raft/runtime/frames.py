"""Frames on a byte stream: u32 length | u32 crc32 of the payload | payload, big endian.

FrameParser turns bytes in any pieces into payloads. It holds only bytes that arrived: a header that claims 4 GiB costs
nothing until it is either refused (above the limit of the lane) or its bytes come. No I/O here.
"""

import struct
from zlib import crc32

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a stranger's bytes: the second for text that is not UTF-8, the third for deep nesting."""

_HEADER = struct.Struct(">II")
HEADER_BYTES = _HEADER.size
FRAME_BYTES_LIMIT = (1 << 32) - 1


class FrameError(Exception):
    """The peer's bytes are not what they must be; the text is a clause for the log. The connection must be closed.

    A lane's on_frame raises it too, for a payload that it can not understand.
    """


def frame_header(payload: bytes) -> bytes:
    """The header to send before `payload`."""
    return _HEADER.pack(len(payload), crc32(payload))


class FrameParser:
    """Bytes in, payloads out. Once it has raised it must not be used again."""

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        """Longer payloads are refused as soon as their header is there. May be changed between calls."""
        self._rest = bytearray()
        self._need_bytes = HEADER_BYTES

    @property
    def buffered_bytes(self) -> int:
        """Bytes received that are not yet a whole frame."""
        return len(self._rest)

    @property
    def missing_bytes(self) -> int:
        """The fewest bytes after which `feed` can have something: reading no more takes nothing of what follows."""
        return self._need_bytes - len(self._rest)

    def feed(self, data: memoryview | bytes) -> list[bytes]:
        """Add received bytes; returns the payloads that are complete now. Raises FrameError."""
        rest = self._rest
        if not rest:
            payloads, end = self._cut(memoryview(data))
            rest += memoryview(data)[end:]
            return payloads
        rest += data
        if len(rest) < self._need_bytes:
            return []
        with memoryview(rest) as view:
            payloads, end = self._cut(view)
        del rest[:end]
        return payloads

    def _cut(self, view: memoryview) -> tuple[list[bytes], int]:
        """Payloads at the head of `view`, and where the first incomplete frame begins."""
        payloads: list[bytes] = []
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
                return payloads, start
            payload = bytes(view[start + HEADER_BYTES : end])
            if crc32(payload) != checksum:
                raise FrameError("a frame does not match its checksum")
            payloads.append(payload)
            start = end
        self._need_bytes = HEADER_BYTES
        return payloads, start
