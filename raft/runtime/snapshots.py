"""Snapshots: a group's data to a follower whose log is too far behind, in pieces, while both go on working.

Fuzzy on purpose
----------------
LevelDB's explicit snapshots are not to be trusted, and a frozen copy would cost the disk twice. So the sender notes
S0, the index it has applied, keeps its log from there, and then reads its data in key order with short iterators while
it goes on applying. What it sends is no state that ever existed: some keys are as of S0, some newer. But every effect
after S0 is in the log, effects are absolute, and the receiver applies the log from S0 on: when it has applied the
highest index that any of the reads may have met (`consistent_index`, sent with the last chunk), its data is exactly
the state at that index. Until then Group.consistent is False there.

The talk
--------
On the lane "snapshot", the sender's own link; the receiver answers on it:

    sender                                   receiver
    Offer(token, the SNAPSHOT message)  ->   snapshot_begin
                                        <-   Answer(cursor)                 or a refusal
    Chunk(0), Chunk(1), …               ->   snapshot_write each
                                        <-   Stored(n) each                 at most snapshot_window_chunks open
    Chunk(last, consistent_index)       ->   the message is stepped into the core, which asks to install
                                        <-   Stored(last)

The token names one transfer. When the link is lost the sender offers it again and goes on from the cursor that the
receiver has staged last. It gives up when it no longer leads in that term, when its log no longer reaches back to S0,
or after snapshot_idle_s without progress. The core begins anew later, under another token even if S0 is the same: the
sender sweeps its data while no transfer reads them, so that what is staged might stay for ever.
"""

import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio

from raft.core import Role
from raft.core.messages import Message, MessageKind, SnapshotMeta
from raft.runtime.frames import FrameError, Payload
from raft.runtime.link import Link
from raft.runtime.links import Links
from raft.runtime.wire import (
    SnapshotAnswer,
    SnapshotChunk,
    SnapshotOffer,
    SnapshotStored,
    decode_snapshot_frame,
    encode_snapshot_frame,
)

if TYPE_CHECKING:
    from raft.runtime.group import Group
    from raft.runtime.host import Host

SNAPSHOT_LANE = "snapshot"
_TOKEN_BYTES = 16
_RETRY_S = 0.05
_LINGER_S = 60.0  # how long a delivered snapshot keeps its pin on the log if the receiver does not catch up


@dataclass(eq=False, slots=True)
class _Outgoing:
    """One transfer, from the message of the core to the receiver having caught up."""

    group: "Group"
    message: Message
    meta: SnapshotMeta
    token: bytes
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    wake: trio.Event = field(default_factory=trio.Event)
    link: Link | None = None
    answer: SnapshotAnswer | None = None
    stored: int = -1
    """Number of the last chunk that the receiver has staged, on this link."""
    consistent_index: int = 0
    pinned_until_s: float = 0.0
    """Delivered; the pin ends then at the latest."""


@dataclass(eq=False, slots=True)
class _Incoming:
    """One transfer that we receive."""

    group: "Group"
    offer: SnapshotOffer
    meta: SnapshotMeta
    link: Link
    next_number: int = 0


class Snapshots:
    """Part of a Host: the transfers in both directions."""

    def __init__(self, host: "Host", links: Links | None) -> None:
        self._host = host
        self._links = links
        self._outgoing: dict[tuple[int, int], _Outgoing] = {}
        self._delivered: dict[tuple[int, int], _Outgoing] = {}
        self._incoming: dict[int, _Incoming] = {}
        self._nursery: trio.Nursery | None = None
        self._next_send_s = 0.0
        if links is not None:
            links.lane(
                SNAPSHOT_LANE,
                on_frame=self._on_frame,
                on_close=self._on_close,
                frame_bytes_max=host.options.frame_bytes_max,
            )

    def has_room(self) -> bool:
        """Another transfer may begin."""
        return self._nursery is not None and len(self._outgoing) < self._host.options.snapshots_sent_max

    def sending(self, group_id: int) -> tuple[int, ...]:
        """Peers that a snapshot of the group is on the way to."""
        return tuple(peer for group, peer in self._outgoing if group == group_id)

    def pinned(self, group: "Group") -> int | None:
        """The log above this index is needed by receivers of snapshots."""
        now_s = trio.current_time()
        for key, transfer in [*self._delivered.items()]:
            progress = transfer.group.node.progress.get(key[1])
            caught_up = progress is None or progress.match >= transfer.consistent_index
            if caught_up or now_s >= transfer.pinned_until_s:
                del self._delivered[key]
        transfers = (*self._outgoing.values(), *self._delivered.values())
        return min((transfer.meta.index for transfer in transfers if transfer.group is group), default=None)

    async def run(self) -> None:
        """Home of the sending tasks. Cancelled: transfers stop, to be resumed or begun anew later."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await trio.sleep_forever()

    # Sending

    def send(self, group: "Group", message: Message) -> None:
        """The core asks for a snapshot to be sent: begin, unless that one is on its way."""
        meta = message.snapshot
        assert meta is not None
        key = (group.id, message.to)
        running = self._outgoing.get(key)
        if running is not None:
            if running.message == message:
                return
            running.scope.cancel()
        if self._nursery is None:
            group.node.report_snapshot(message.to, False)
            return
        transfer = self._outgoing[key] = _Outgoing(group, message, meta, secrets.token_bytes(_TOKEN_BYTES))
        self._nursery.start_soon(self._send, key, transfer)

    async def _send(self, key: tuple[int, int], transfer: _Outgoing) -> None:
        delivered = False
        try:
            with transfer.scope:
                self._progress(transfer)
                delivered = await self._deliver(transfer)
        finally:
            if self._outgoing.get(key) is transfer:
                del self._outgoing[key]
        if self._outgoing.get(key) is None and transfer.group.node.term == transfer.message.term:
            if delivered:
                transfer.pinned_until_s = trio.current_time() + _LINGER_S
                self._delivered[key] = transfer
            transfer.group.node.report_snapshot(transfer.message.to, delivered)
            self._host.mark(transfer.group)
            self._host.turn()

    def _progress(self, transfer: _Outgoing) -> None:
        transfer.scope.deadline = trio.current_time() + self._host.options.snapshot_idle_s

    def _is_stale(self, transfer: _Outgoing) -> bool:
        node = transfer.group.node
        return (
            self._host.failed is not None
            or node.role is not Role.LEADER
            or node.term != transfer.message.term
            or transfer.message.to not in node.progress
            or transfer.group.log.first_index > transfer.meta.index + 1
        )

    async def _deliver(self, transfer: _Outgoing) -> bool:
        """Over as many links as it takes. False: given up."""
        assert self._links is not None
        while not self._is_stale(transfer):
            link = self._links.link(SNAPSHOT_LANE, transfer.message.to)
            if link is not None:
                transfer.link, transfer.answer, transfer.stored = link, None, -1
                outcome = await self._deliver_over(link, transfer)
                if outcome is not None:
                    return outcome
            await trio.sleep(_RETRY_S)
        return False

    async def _deliver_over(self, link: Link, transfer: _Outgoing) -> bool | None:
        """None: the link was lost."""
        options, group = self._host.options, transfer.group
        link.send(encode_snapshot_frame(SnapshotOffer(group.id, transfer.token, transfer.message)))
        while transfer.answer is None:
            if not await self._wait(link, transfer):
                return None
        if transfer.answer.refusal:
            return False
        cursor: bytes | None = transfer.answer.cursor
        number = 0
        while cursor is not None:
            if self._is_stale(transfer):
                return False
            if number - transfer.stored > options.snapshot_window_chunks:
                if not await self._wait(link, transfer):
                    return None
                continue
            read = partial(group.machine.snapshot_read, cursor, options.snapshot_chunk_bytes)
            data, cursor = await self._host.bulk.call(read)
            await self._throttle(len(data))
            if cursor is None:
                transfer.consistent_index = group.seen_index
            chunk = SnapshotChunk(group.id, transfer.token, number, data, cursor, transfer.consistent_index)
            if not link.send(encode_snapshot_frame(chunk)):
                link.close("a snapshot chunk could not be sent")
                return None
            number += 1
        while transfer.stored < number - 1:
            if not await self._wait(link, transfer):
                return None
        return True

    async def _wait(self, link: Link, transfer: _Outgoing) -> bool:
        """Something came from the receiver. False: nothing will, the link is closed."""
        if link.closed:
            return False
        await transfer.wake.wait()
        transfer.wake = trio.Event()
        return not link.closed

    async def _throttle(self, size_bytes: int) -> None:
        now_s = trio.current_time()
        start_s = max(now_s, self._next_send_s)
        self._next_send_s = start_s + size_bytes / self._host.options.snapshot_bytes_per_s
        await trio.sleep_until(start_s)

    # What comes in, in either direction

    def _on_frame(self, link: Link, payload: Payload) -> None:
        if self._host.failed is not None:
            return
        frame = decode_snapshot_frame(payload)
        if isinstance(frame, SnapshotOffer):
            self._on_offer(link, frame)
        elif isinstance(frame, SnapshotChunk):
            self._on_chunk(link, frame)
        else:
            transfer = self._outgoing.get((frame.group, link.peer))
            if transfer is None or transfer.token != frame.token or transfer.link is not link:
                return
            if isinstance(frame, SnapshotAnswer):
                transfer.answer = frame
            else:
                transfer.stored = frame.number
            self._progress(transfer)
            transfer.wake.set()

    def _on_close(self, link: Link) -> None:
        for transfer in self._outgoing.values():
            if transfer.link is link:
                transfer.wake.set()
        for group_id, incoming in [*self._incoming.items()]:
            if incoming.link is link:
                del self._incoming[group_id]

    # Receiving

    def _on_offer(self, link: Link, offer: SnapshotOffer) -> None:
        message, meta = offer.message, offer.message.snapshot
        if message.kind != MessageKind.SNAPSHOT or message.sender != link.peer or meta is None:
            raise FrameError(f"node {link.peer} offered a snapshot that is none: {message[:4]}")
        group = self._host.groups.get(offer.group)
        refusal = ""
        if group is None:
            refusal = "there is no such group here"
        elif (
            group.node.awaits_install
        ):  # what is staged is that one's, be it that its turn to install has not come
            refusal = "another one is being installed"
        elif message.term < group.term or meta.index <= group.commit:
            refusal = "it is out of date"
        if group is None or refusal:
            link.send(encode_snapshot_frame(SnapshotAnswer(offer.group, offer.token, b"", refusal)))
            return
        incoming = self._incoming[group.id] = _Incoming(group, offer, meta, link)
        self._host.bulk.submit(
            partial(group.machine.snapshot_begin, offer.token), partial(self._begun, incoming)
        )

    def _begun(self, incoming: _Incoming, cursor: bytes) -> None:
        if self._is_current(incoming):
            answer = SnapshotAnswer(incoming.group.id, incoming.offer.token, cursor, "")
            incoming.link.send(encode_snapshot_frame(answer))

    def _on_chunk(self, link: Link, chunk: SnapshotChunk) -> None:
        incoming = self._incoming.get(chunk.group)
        if incoming is None or incoming.link is not link or incoming.offer.token != chunk.token:
            return
        if chunk.number != incoming.next_number:
            raise FrameError(f"snapshot chunk {chunk.number} came instead of {incoming.next_number}")
        incoming.next_number += 1
        write = partial(incoming.group.machine.snapshot_write, chunk.token, chunk.data, chunk.next_cursor)
        self._host.bulk.submit(write, lambda _: self._written(incoming, chunk))

    def _written(self, incoming: _Incoming, chunk: SnapshotChunk) -> None:
        if not self._is_current(incoming):
            return
        incoming.link.send(encode_snapshot_frame(SnapshotStored(chunk.group, chunk.token, chunk.number)))
        if chunk.next_cursor is None:
            del self._incoming[chunk.group]
            group = incoming.group
            if group.installing is None:
                group.staged = (incoming.meta, chunk.consistent_index)
                group.node.step(incoming.offer.message, self._host.now_us())
                self._host.mark(group)

    def _is_current(self, incoming: _Incoming) -> bool:
        return self._incoming.get(incoming.group.id) is incoming
