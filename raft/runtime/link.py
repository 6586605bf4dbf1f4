"""One connection between two nodes on one lane, from its handshake to its end.

`send` never waits. It writes what the socket takes and buffers the rest up to a bound; when that is reached it says
False, and the frame is as lost as if the network had dropped it. Nothing is ever retransmitted: what must survive a
lost connection is the business of the lane.

A long frame waits in its turn until a thread has worked out its checksum. While it is on its way the peer has more time
to take it (LONG_TIMEOUT_MS): TCP counts the time in which its buffers are full as if it did not answer.

A link is closed by whatever is wrong with it: a bad checksum, an oversized header, silence of the peer's machine, a
payload that the lane refuses with FrameError.
"""

import select
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Protocol

import trio

from raft.runtime.frames import HEADER_BYTES, LONG_BYTES, FrameError, FrameParser, Payload, frame_header

USER_TIMEOUT_MS = 3000
"""Data unacknowledged for this long: the peer's machine is gone, stop doubling the RTO."""
LONG_TIMEOUT_MS = 30_000
"""While it is much data: the peer may be at work on what it has got of it."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one kind of traffic needs; see Links.lane, which makes it."""

    name: str
    on_frame: "Callable[[Link, Payload], None]"
    on_open: "Callable[[Link], None] | None"
    on_close: "Callable[[Link], None] | None"
    on_pause: "Callable[[Link], None] | None"
    buffer_bytes_max: int
    frame_bytes_max: int


class Poller(Protocol):
    """Somebody with an epoll of his own, who serves our sockets along with his in one turn of the loop."""

    def add_reader(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Call `on_readable` whenever the descriptor is readable; after a round of such calls, act on them all."""

    def remove_reader(self, descriptor: int) -> None:
        """No more."""


class Link:
    """One established connection. Made by Links."""

    def __init__(self, lane: Lane, peer: int, process: bytes, *, dialed: bool, sock: socket.socket) -> None:
        self.peer = peer
        """Node id of the other side."""
        self.process = process
        """Which process of that node it is."""
        self.lane = lane
        self.dialed = dialed
        """We opened it; otherwise the peer did."""
        self.buffered_bytes = 0
        """Sent by our caller, not yet taken by the kernel."""
        self.closed = False
        self._sock = sock
        self._buffers: deque[memoryview | bytes] = deque()
        self._long: deque[tuple[bytes, ...]] = deque()
        """Payloads, in parts, that wait for a long one, which is the first, to get its header."""
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._cause = ""

    @property
    def hung_up(self) -> bool:
        """The peer's side is closed, though what it sent before may not have been read yet."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLRDHUP)
        return bool(poll.poll(0))

    def send(self, *parts: bytes) -> bool:
        """Send one frame, whose payload is in one part or several, or buffer it. Never blocks.

        False: closed, or more than the lane's buffer_bytes_max would wait (one frame is always taken when nothing
        waits). True promises nothing about delivery.
        """
        if self.closed:
            return False
        payload_bytes = _size_bytes(parts)
        assert payload_bytes <= self.lane.frame_bytes_max, payload_bytes
        size_bytes = HEADER_BYTES + payload_bytes
        if self.buffered_bytes and self.buffered_bytes + size_bytes > self.lane.buffer_bytes_max:
            return False
        if self._long or payload_bytes > LONG_BYTES:
            self._long.append(parts)
            self.buffered_bytes += size_bytes
            self._wake.set()
            return True
        header = frame_header(*parts)
        if self._buffers:
            self._buffers += (header, *parts)
            self.buffered_bytes += size_bytes
            return True
        try:
            sent = self._sock.sendmsg((header, *parts))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.close(f"sending failed: {error}")
            return False
        if sent < size_bytes:
            self._buffers += (header, *parts)
            self.buffered_bytes = size_bytes
            self._took(sent)
            self._wake.set()
        return True

    def close(self, cause: str = "") -> None:
        """End the connection soon; on_close is called from the link's own task. `cause` is logged. Idempotent."""
        if not self.closed:
            self.closed = True
            self._cause = cause
            self._buffers.clear()
            self._long.clear()
            self.buffered_bytes = 0
            self._scope.cancel()

    async def run(self, parser: FrameParser, receive_buffer: bytearray, poller: Poller | None) -> str:
        """Serve the link until it ends. Returns why. Cancelled: the connection is closed."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                if poller is None:
                    await self._read(parser, memoryview(receive_buffer))
                else:
                    await self._be_polled(parser, memoryview(receive_buffer), poller)
        return self._cause

    async def _be_polled(self, parser: FrameParser, buffer: memoryview, poller: Poller) -> None:
        descriptor = self._sock.fileno()
        poller.add_reader(descriptor, partial(self._receive, parser, buffer))
        try:
            await trio.sleep_forever()  # until close
        finally:
            poller.remove_reader(descriptor)

    async def _read(self, parser: FrameParser, buffer: memoryview) -> None:
        on_pause = self.lane.on_pause
        while not self.closed:
            await trio.lowlevel.wait_readable(self._sock)
            self._receive(parser, buffer)
            if on_pause is not None and not self.closed:
                on_pause(self)

    def _receive(self, parser: FrameParser, buffer: memoryview) -> None:
        """Take one buffer of what has arrived, at most: a peer that sends without end does not keep the loop."""
        if self.closed:
            return
        on_frame = self.lane.on_frame
        try:
            count = self._sock.recv_into(buffer)
            if count == 0:
                self.close()
            for payload in parser.feed(buffer[:count]):
                on_frame(self, payload)
                if self._scope.cancel_called:  # closed meanwhile
                    return
        except BlockingIOError:
            return
        except FrameError as error:
            self.close(str(error))
        except OSError as broken:
            self.close(f"receiving failed: {broken}")

    async def _write(self) -> None:
        patient = False
        try:
            while True:
                with trio.move_on_after(LONG_TIMEOUT_MS / 1000 if patient else inf):
                    await self._wake.wait()
                if not self._wake.is_set():
                    self._set_timeout(USER_TIMEOUT_MS)  # what was much has arrived by now
                    patient = False
                while self._buffers or self._long:
                    if not self._buffers:
                        self._set_timeout(LONG_TIMEOUT_MS)
                        patient = True
                        await self._frame_long()
                    await trio.lowlevel.wait_writable(self._sock)
                    self._flush()
                self._wake = trio.Event()
        except OSError as error:
            self.close(f"sending failed: {error}")

    def _set_timeout(self, timeout_ms: int) -> None:
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)

    async def _frame_long(self) -> None:
        """Give the long payload that is next its header, and those behind it up to another long one."""
        header = await trio.to_thread.run_sync(frame_header, *self._long[0], abandon_on_cancel=True)
        if self.closed:
            return
        self._buffers += (header, *self._long.popleft())
        while self._long and _size_bytes(self._long[0]) <= LONG_BYTES:
            parts = self._long.popleft()
            self._buffers += (frame_header(*parts), *parts)

    def _flush(self) -> None:
        buffers = self._buffers
        try:
            sent = self._sock.sendmsg([buffers[place] for place in range(min(len(buffers), 64))])
        except BlockingIOError:
            return
        self._took(sent)

    def _took(self, sent: int) -> None:
        """The kernel has so many bytes of what is buffered."""
        buffers = self._buffers
        self.buffered_bytes -= sent
        while buffers and len(buffers[0]) <= sent:
            sent -= len(buffers.popleft())
        if sent:
            buffers[0] = memoryview(buffers[0])[sent:]


def _size_bytes(parts: tuple[bytes, ...]) -> int:
    return len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
