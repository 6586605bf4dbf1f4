"""The lane "pubsub" between nodes: published messages and keyspace events, one frame a turn.

Each node dials every other one and only sends on the links that it dialed; what it receives comes over those that it
accepted. All that a turn publishes is encoded once and sent to every node. A node that does not take it in time misses
what no longer fits into its buffer (`dropped_frames`), as a slow subscriber would: nobody waits for it.

The first thing a link carries is the classes of keyspace events that the sender wants; whoever is not linked wants
none.
"""

import logging

import msgspec

from raft.runtime.frames import UNDECODABLE, FrameError
from raft.runtime.links import Link, Links
from server.keyspace.events import Event
from server.pubsub.hub import Hub

log = logging.getLogger("redraft.pubsub")

LANE = "pubsub"
buffer_bytes_max = 64 << 20
"""Bytes waiting for one node; what is published while there are more does not reach it."""
frame_bytes_max = 1 << 30


class Frame(msgspec.Struct, array_like=True):
    """What one node tells another."""

    messages: list[tuple[int, bytes, bytes]] = []
    """(kind, channel, message)."""
    events: list[Event] = []
    wants: int | None = None
    """From now on the sender wants these classes of events."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class Exchange:
    """Both directions, for one node; the Outbound of its hub."""

    def __init__(self, links: Links, hub: Hub) -> None:
        """Frames arrive within a turn of whoever polls the links; `flush` is called at the end of every turn."""
        self._hub = hub
        self._out: set[Link] = set()
        self._wanted: dict[Link, int] = {}
        """Of each accepted link: the classes that its node wants."""
        self._wants = 0
        self._messages: list[tuple[int, bytes, bytes]] = []
        self._events: list[Event] = []
        self.dropped_frames = 0
        links.lane(
            LANE,
            on_frame=self._on_frame,
            on_open=self._on_open,
            on_close=self._on_close,
            buffer_bytes_max=buffer_bytes_max + frame_bytes_max,
            frame_bytes_max=frame_bytes_max,
        )

    def message(self, kind: int, channel: bytes, message: bytes) -> None:
        """See Outbound."""
        self._messages.append((kind, channel, message))

    def events(self, events: list[Event]) -> None:
        """See Outbound."""
        self._events += events

    def wants(self, classes: int) -> None:
        """See Outbound."""
        self._wants = classes
        for link in self._out:
            self._send(link, _encode(Frame(wants=classes)))

    def flush(self) -> None:
        """Send what this turn has gathered."""
        if not self._messages and not self._events:
            return
        frame = _encode(Frame(self._messages, self._events))
        self._messages = []
        self._events = []
        for link in self._out:
            self._send(link, frame)

    def _send(self, link: Link, frame: bytes) -> None:
        if link.buffered_bytes > buffer_bytes_max or not link.send(frame):
            if not self.dropped_frames:
                log.warning("Node %d does not take what is published; its subscribers miss some", link.peer)
            self.dropped_frames += 1

    def _on_open(self, link: Link) -> None:
        if link.dialed:
            self._out.add(link)
            self._send(link, _encode(Frame(wants=self._wants)))

    def _on_close(self, link: Link) -> None:
        if link.dialed:
            self._out.discard(link)
        elif self._wanted.pop(link, 0):
            self._update()

    def _on_frame(self, link: Link, payload: bytes) -> None:
        try:
            frame = _decode(payload)
        except UNDECODABLE as error:
            raise FrameError(f"node {link.peer} sent a frame that is nothing published: {error}") from None
        if frame.wants is not None:
            self._wanted[link] = frame.wants
            self._update()
        for kind, channel, message in frame.messages:
            self._hub.deliver(kind, channel, message)
        if frame.events:
            self._hub.tell(frame.events)

    def _update(self) -> None:
        classes = 0
        for wanted in self._wanted.values():
            classes |= wanted
        self._hub.wanted_elsewhere(classes)
