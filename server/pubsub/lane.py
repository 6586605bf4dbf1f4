"""The lane "pubsub" between nodes: published messages and keyspace events, one frame a turn.

Each node dials every other one and only sends on the links that it dialed; what it receives comes over those that it
accepted. All that a turn publishes is encoded once and sent to every node. A node that does not take it in time misses
what no longer fits into its buffer (`dropped_frames`), as a slow subscriber would: nobody waits for it. So it is with
what is too large for one frame.

The first thing a link carries is the classes of keyspace events that the sender wants; whoever is not linked wants
none. The receiver answers, over the link that it dialed, that it acts by it: from then on that link carries all that
is wanted, or a word that something is missing (tracking.py builds on it).
"""

import logging

import msgspec

from raft.runtime.frames import UNDECODABLE, FrameError, Payload
from raft.runtime.link import Link
from raft.runtime.links import Links
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
    number: int = 0
    """With `wants`: grows with each."""
    heeds: int | None = None
    """The number of the newest `wants` of the receiver that the sender acts by."""
    missed: bool = False
    """A frame before this one could not be sent."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class Exchange:
    """Both directions, for one node; the Outbound of its hub."""

    def __init__(self, links: Links, hub: Hub) -> None:
        """Frames arrive within a turn of whoever polls the links; `flush` is called at the end of every turn."""
        self._hub = hub
        self._out: set[Link] = set()
        self._wanted: dict[Link, tuple[int, int]] = {}
        """Of each accepted link: the classes that its node wants, and the number of that wish."""
        self._behind: set[Link] = set()
        """Those of `_out` that could not take a frame, and do not know yet."""
        self._wants = 0
        self._number = 0
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
        self._number += 1
        for link in self._out:
            self._send(link, _encode(Frame(wants=classes, number=self._number)))

    def flush(self) -> None:
        """Send what this turn has gathered."""
        for link in list(self._behind):
            if link.buffered_bytes <= buffer_bytes_max and link.send(_encode(Frame(missed=True))):
                self._behind.discard(link)
                self._acknowledge(link.peer)
        if not self._messages and not self._events:
            return
        frame = _encode(Frame(self._messages, self._events))
        self._messages = []
        self._events = []
        for link in self._out:
            self._send(link, frame)

    def _send(self, link: Link, frame: bytes) -> None:
        too_much = len(frame) > frame_bytes_max or link.buffered_bytes > buffer_bytes_max
        if too_much or not link.send(frame):
            if not self.dropped_frames:
                log.warning("Node %d does not take what is published; its subscribers miss some", link.peer)
            self.dropped_frames += 1
            self._behind.add(link)

    def _on_open(self, link: Link) -> None:
        if link.dialed:
            self._out.add(link)
            self._send(link, _encode(Frame(wants=self._wants, number=self._number)))
            self._acknowledge(link.peer)

    def _acknowledge(self, node: int) -> None:
        """Tell `node` that from now on it is sent what it wants, if it can be."""
        number = max((n for link, (_, n) in self._wanted.items() if link.peer == node), default=None)
        for link in self._out if number is not None else ():
            if link.peer == node:
                self._send(link, _encode(Frame(heeds=number)))

    def _on_close(self, link: Link) -> None:
        self._hub.tracking.lost(link.peer)
        if link.dialed:
            self._out.discard(link)
            self._behind.discard(link)
        elif self._wanted.pop(link, None) is not None:
            self._update()

    def _on_frame(self, link: Link, payload: Payload) -> None:
        try:
            frame = _decode(payload)
        except UNDECODABLE as error:
            raise FrameError(f"node {link.peer} sent a frame that is nothing published: {error}") from None
        if frame.wants is not None:
            self._wanted[link] = (frame.wants, frame.number)
            self._update()
            self._acknowledge(link.peer)
        if frame.missed:
            self._hub.tracking.forget_everything()
        if frame.heeds is not None and frame.heeds == self._number:
            self._hub.tracking.acknowledged(link.peer)
        for kind, channel, message in frame.messages:
            self._hub.deliver(kind, channel, message)
        if frame.events:
            self._hub.tell(frame.events)

    def _update(self) -> None:
        classes = 0
        for wanted, _ in self._wanted.values():
            classes |= wanted
        self._hub.wanted_elsewhere(classes)
