"""Many groups on one Trio loop: clock, disk, network and state machines around the sans-I/O core.

One turn
--------
Something happens: proposals of a reactor turn, frames, a tick, a completion. It marks groups. `pump` then collects what
is due of the marked groups only, sends one frame per peer with all groups' messages, begins one write of all groups'
entries if none is under way (else they wait for it: that is the group commit), and goes on with applying what is
committed (applying.py). It never waits. When the host itself made the turn it calls `on_turn_end` after it.

Order
-----
A leader's messages leave before its own write (it counts itself only when that is synced); votes and acknowledgements
wait in `messages_after` for the write. A failed write, or anything else that must not be gone on from, makes the host
silent at once and for ever: `on_fatal`.

Restart
-------
The core is seeded with `durable_applied`, not with the machine's own applied index: the data store is written without
sync, and after a power failure it may have a newer part and lack an older one. So the entries from durable_applied on
are applied again; effects are absolute, and until the machine's old applied index is reached again the group is not
`consistent`. compaction.py moves durable_applied.

Time
----
Leases are measured with CLOCK_BOOTTIME, which counts suspend. A late tick counts once, however late, and the next one
comes a whole interval after it: a process that was paused takes the frames that wait in its sockets before it thinks of
an election, and a follower's promise not to elect another leader never ends early.
"""

import logging
import random
import time
from collections.abc import Callable

import trio

from raft.core import RaftConfig, RaftNode, Ready
from raft.core.messages import ConfState, HardState, Message, MessageKind, SnapshotMeta
from raft.runtime.applying import Applying
from raft.runtime.compaction import Compaction
from raft.runtime.disk import Disk
from raft.runtime.frames import FrameError, Payload
from raft.runtime.group import Group
from raft.runtime.link import Link
from raft.runtime.links import Links
from raft.runtime.machine import StateMachine
from raft.runtime.options import HostOptions
from raft.runtime.snapshots import Snapshots
from raft.runtime.wire import Envelope, decode_messages, encode_messages
from raft.runtime.workers import Completions, Worker
from raft.storage import GroupLog, GroupWrite, LogDamaged, LogStore, StorageError
from raft.storage.errors import REMEDY

log = logging.getLogger(__name__)

RAFT_LANE = "raft"
PULSE_LANE = "pulse"
"""For heartbeats, and their answers, that would have to wait behind a large entry."""
_BUFFER_BYTES_MAX = 64 << 20
"""Waiting for one peer besides the largest frame."""
_PULSES = (MessageKind.HEARTBEAT, MessageKind.HEARTBEAT_RESPONSE)
_KINDS = frozenset(MessageKind) - {MessageKind.SNAPSHOT}  # that one comes by the lane of its own


class Host:
    """All groups of a node. Make it, add the groups, `run` it, `close` it; then close the store."""

    def __init__(
        self,
        node_id: int,
        store: LogStore,
        links: Links | None,
        options: HostOptions,
        *,
        sync_state: Callable[[], None],
        on_fatal: Callable[[BaseException], None],
        on_turn_end: Callable[[], None],
        seed: int,
    ) -> None:
        """`links`: not running yet; None for a node without peers.

        sync_state: BULK thread; everything applied before the call is durable after it. on_fatal: LOOP, at most once;
        the host acknowledges and sends nothing any more, and the process should end. on_turn_end: LOOP, after each
        turn that the host made. seed: of the election timeouts.
        """
        self.node_id = node_id
        self.store = store
        self.options = options
        self.groups: dict[int, Group] = {}
        self.failed: BaseException | None = None
        """What ended the host."""
        self._links = links
        self._on_fatal = on_fatal
        self._on_turn_end = on_turn_end
        self._seed = seed
        self._marked: set[Group] = set()
        self._pumping = False
        self._outboxes: dict[int, list[Envelope]] = {}
        self._to_save: list[tuple[Group, Ready, GroupWrite]] = []
        self._saving = False
        self._completions = Completions()
        self.disk = Disk(store, self._completions, self.fail)
        self.bulk = Worker("raft-bulk", self._completions, self.fail)
        self._apply = Worker("raft-apply", self._completions, self.fail, patient=True)
        self.applying = Applying(self._apply, self._completions)
        self.snapshots = Snapshots(self, links)
        self.compaction = Compaction(self, sync_state)
        if links is not None:
            links.lane(
                RAFT_LANE,
                on_frame=self._on_frame,
                on_pause=lambda link: self.turn(),
                on_close=self._on_close,
                buffer_bytes_max=_BUFFER_BYTES_MAX + options.frame_bytes_max,
                frame_bytes_max=options.frame_bytes_max,
            )
            links.lane(PULSE_LANE, on_frame=self._on_frame, on_pause=lambda link: self.turn())
        self._config = RaftConfig(
            id=node_id,
            election_ticks=options.election_ticks,
            heartbeat_ticks=options.heartbeat_ticks,
            append_bytes_max=options.append_bytes_max,
            inflight_messages_max=options.inflight_messages_max,
            inflight_bytes_max=options.inflight_bytes_max,
            uncommitted_bytes_max=options.uncommitted_bytes_max,
            apply_bytes_max=options.apply_bytes_max,
            lease_us=options.lease_us,
        )

    def add_group(self, group_id: int, initial: ConfState, machine: StateMachine) -> Group:
        """Start (or resume) this node's replica of a group. Reads and checks its whole retained log: at start only.

        `initial`: the founding members, the same everywhere; empty on a node that joins a group later; ignored
        when the group has a log here. Raises LogDamaged, LogFailed.
        """
        assert group_id not in self.groups, group_id
        known = group_id in self.store.groups()
        group_log = self.store.group(group_id) if known else self.store.create_group(group_id, initial)
        self._finish_install(group_log, machine)
        state, applied = group_log.hard_state, machine.applied_index
        if applied > group_log.last_index:
            raise LogDamaged(
                f"the log of group {group_id} ends at {group_log.last_index}, but its data already holds"
                f" {applied}: the end of the log was lost; {REMEDY}"
            )
        # 1: a group without any data yet.
        if applied < group_log.durable_applied and group_log.durable_applied > 1:
            raise LogDamaged(
                f"the data of group {group_id} ends at {applied}, but {group_log.durable_applied} had been synced:"
                f" the data was lost or is of another node; {REMEDY}"
            )
        if applied > max(group_log.consistent_index, group_log.durable_applied):
            self.store.note_consistent(group_id, applied)
        node = RaftNode(
            self._config,
            group_log,
            HardState(state.term, state.vote, max(state.commit, applied)),
            group_log.conf,
            group_log.durable_applied,
            random.Random(f"{self._seed}/{self.node_id}/{group_id}").randrange,
        )
        group = self.groups[group_id] = Group(self, node, group_log, machine)
        self.mark(group)
        return group

    def _finish_install(self, group_log: GroupLog, machine: StateMachine) -> None:
        """A crash came between the note of an install and the new log: did the machine get that far?"""
        install = group_log.installing
        if install is None:
            return
        if machine.applied_index != install.index:
            self.store.forget_install(group_log.group_id)
            return
        old = group_log.hard_state
        vote = old.vote if old.term >= install.term else 0
        state = HardState(max(old.term, install.term), vote, max(old.commit, install.index))
        meta = SnapshotMeta(install.index, install.term, install.conf)
        self.store.write([GroupWrite(group_log.group_id, state, (), meta, install.consistent_index)])

    def now_us(self) -> int:
        """Microseconds on a clock that counts suspend and never goes back."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    # One turn

    def mark(self, group: Group) -> None:
        """Something may be due for this group."""
        self._marked.add(group)

    def pump(self) -> None:
        """Carry out what is due. Synchronous; quick when nothing is. Safe to call from the machines' callbacks."""
        if self._pumping or self.has_failed:
            return
        self._pumping = True
        try:
            self.disk.look()
            self._completions.drain()
            while self._marked and not self.has_failed:
                marked, self._marked = self._marked, set()
                for group in marked:
                    group.collect()
            if not self.has_failed:
                if self._outboxes:
                    self._flush_messages()
                if self._to_save and not self._saving:
                    self._flush_disk()
                self.applying.go_on()
        except Exception as error:
            self.fail(error)  # a contradiction in the core or a fault of a machine: nothing may follow it
        finally:
            self._pumping = False

    @property
    def has_failed(self) -> bool:
        """See `fail`."""
        return self.failed is not None

    def turn(self) -> None:
        """pump, then on_turn_end: for turns that the server did not make."""
        self.pump()
        self._on_turn_end()

    def fail(self, error: BaseException) -> None:
        """Fall silent for good."""
        if self.failed is None:
            self.failed = error
            if not isinstance(error, StorageError):  # its sentence says all, and on_fatal has it said
                log.critical("the node stops: %s", error, exc_info=error)
            self._on_fatal(error)

    def route(self, group: Group, messages: list[Message]) -> None:
        """Put messages into the outboxes."""
        for message in messages:
            if message.kind == MessageKind.SNAPSHOT:
                self.snapshots.send(group, message)
            else:
                self._outboxes.setdefault(message.to, []).append((group.id, message))

    def _flush_messages(self) -> None:
        outboxes, self._outboxes = self._outboxes, {}
        for peer, envelopes in outboxes.items():
            link = None if self._links is None else self._links.link(RAFT_LANE, peer)
            if link is not None and link.buffered_bytes:
                envelopes = self._overtake(peer, envelopes)
            if link is None or (
                envelopes and not all(link.send(*frame) for frame in encode_messages(envelopes))
            ):
                for group_id in {group_id for group_id, _message in envelopes}:
                    self.groups[group_id].node.report_unreachable(peer)

    def _overtake(self, peer: int, envelopes: list[Envelope]) -> list[Envelope]:
        """Much is on its way to the peer: what keeps leaderships alive goes ahead of it. Returns the rest."""
        assert self._links is not None
        link = self._links.link(PULSE_LANE, peer)
        pulses = [envelope for envelope in envelopes if envelope[1].kind in _PULSES]
        if link is None or not pulses or not all(link.send(*frame) for frame in encode_messages(pulses)):
            return envelopes
        return [envelope for envelope in envelopes if envelope[1].kind not in _PULSES]

    def save(self, group: Group, ready: Ready, write: GroupWrite) -> None:
        """Have this written with the next batch."""
        self._to_save.append((group, ready, write))

    def _flush_disk(self) -> None:
        batch, self._to_save = self._to_save, []
        writes = [write for _group, _ready, write in batch]
        self._saving = True
        self.disk.persist(writes, lambda: self._saved(batch, writes))

    def _saved(self, batch: list[tuple[Group, Ready, GroupWrite]], writes: list[GroupWrite]) -> None:
        self._saving = False
        self.store.publish(writes)
        for group, ready, _write in batch:
            group.saved(ready)

    # Peers

    def _on_frame(self, link: Link, payload: Payload) -> None:
        if self.failed is not None:
            return
        now_us = self.now_us()
        try:
            for group_id, message in decode_messages(payload):
                group = self.groups.get(group_id)
                if message.sender != link.peer or message.kind not in _KINDS:
                    raise FrameError(f"node {link.peer} sent a message that it may not send: {message[:4]}")
                if group is not None:
                    group.node.step(message, now_us)
                    self._marked.add(group)
        except FrameError:
            raise
        except Exception as error:  # the core found that something acknowledged was lost
            self.fail(error)

    def _on_close(self, link: Link) -> None:
        if link.dialed:
            for group in self.groups.values():
                group.node.report_unreachable(link.peer)

    # Running

    @property
    def completions_fd(self) -> int:
        """Gets an event when `turn` should be called: for a reactor that watches it itself, edge-triggered."""
        return self._completions.fd

    async def run(
        self,
        *,
        watch_completions: bool = True,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. `started` once the node listens. Raises OSError when it can not.

        With watch_completions=False somebody else watches completions_fd, which saves a task switch per write.
        Cancelled at any point nothing acknowledged is lost; what is not yet written may or may not be.
        """
        async with trio.open_nursery() as nursery:
            if self._links is not None:
                await nursery.start(self._links.run)
            if watch_completions:
                nursery.start_soon(self._complete)
            nursery.start_soon(self._tick)
            nursery.start_soon(self.compaction.run)
            nursery.start_soon(self.snapshots.run)
            task_status.started()

    async def _complete(self) -> None:
        while True:
            await self._completions.wait()
            self.turn()

    async def _tick(self) -> None:
        tick_s = self.options.tick_s
        due_s = trio.current_time() + tick_s
        while True:
            await trio.sleep_until(due_s)
            # Never sooner, or a promise of so many ticks would end early.
            due_s = trio.current_time() + tick_s
            now_us = self.now_us()
            for group in self.groups.values():
                group.node.tick(now_us)
            self._marked.update(self.groups.values())
            self.turn()

    async def close(self) -> None:
        """After `run` has ended: finish what the threads have begun, end them, note how far the data is synced.

        Then the store and the data store may be closed. Not to be cancelled: it shields itself.
        """
        with trio.CancelScope(shield=True):
            for worker in (self._apply, self.bulk, self.disk):
                await trio.to_thread.run_sync(worker.join)
            if self.failed is None:
                self._completions.drain()
                await trio.to_thread.run_sync(self.compaction.checkpoint_at_close)
            self._completions.close()
