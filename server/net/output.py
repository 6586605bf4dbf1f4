"""What waits to be sent to one client, and the limits of that.

Replies are gathered and leave together; one that is large leaves by itself, and is cut by views rather than copied each
time that the client has taken a part of it.
"""

import socket

joined_bytes_max = 1 << 20
"""No more is made one piece: that copies it."""
_large_piece_bytes = 64 * 1024
_joined_pieces_max = 64

OutputLimits = tuple[int, int, int]
"""Hard bytes, soft bytes, seconds over the soft ones; 0: none."""


class Output:
    """Of one connection."""

    __slots__ = ("_soft_since_s", "pieces", "size_bytes")

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        """In order. Who appends adds to `size_bytes` too: a method for that would be called for every reply."""
        self.size_bytes = 0
        """Of all pieces."""
        self._soft_since_s = 0.0
        """Since when more than the soft limit waits; 0: it does not."""

    def send(self, sock: socket.socket) -> int:
        """Send what the socket takes: so many bytes. Raises OSError."""
        pieces = self.pieces
        if len(pieces) == 1:
            data = pieces[0]
        elif self.size_bytes <= joined_bytes_max:
            data = b"".join(pieces)
        else:
            data = pieces[0] if len(pieces[0]) > _large_piece_bytes else b"".join(pieces[:_joined_pieces_max])
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == self.size_bytes:
            pieces.clear()
            self.size_bytes = 0
            self._soft_since_s = 0.0
        else:
            self._drop(sent)
        return sent

    def _drop(self, sent: int) -> None:
        """Forget the first `sent` bytes."""
        self.size_bytes -= sent
        pieces = self.pieces
        gone = 0
        for piece in pieces:
            if sent < len(piece):
                break
            sent -= len(piece)
            gone += 1
        del pieces[:gone]
        if sent:
            pieces[0] = memoryview(pieces[0])[sent:]

    def exceeds(self, limits: OutputLimits, size_bytes: int, now_s: float) -> bool:
        """Whether `size_bytes`, what waits with all that has no place here yet, are too many, or are for too long."""
        hard, soft, soft_s = limits
        if hard and size_bytes > hard:
            return True
        if soft and size_bytes > soft:
            self._soft_since_s = self._soft_since_s or now_s
            return now_s - self._soft_since_s > soft_s
        self._soft_since_s = 0.0
        return False
