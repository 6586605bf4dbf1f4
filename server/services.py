"""What commands ask of the node that their client talks to: commands/context.py says what that is.

Most of it is about all groups at once, or about what the parts of the node know of each other. Of the parts themselves
commands see those that context.Node names.
"""

import os
from collections.abc import Iterable
from typing import Any

import trio

from raft.core.node import Role
from raft.runtime.links import Links
from server.cluster.topology import SYSTEM_GROUP, Topology
from server.commands.context import GroupInfo
from server.dispatch.dispatcher import Dispatcher
from server.errors import DISK_FULL, OUT_OF_MEMORY
from server.keyspace.leveldb import DataStore
from server.keyspace.meta import DATABASES
from server.scripting.script import SCRIPT_TEXTS
from server.session import Session
from server.shard.digest import DIGEST_BYTES, digest
from server.shard.lane import LANE as FORWARD_LANE
from server.shard.leadership import Leadership
from server.shard.router import Router
from server.shard.shard import Shard
from server.shard.workbench import Workbench

_ROLES = {
    int(Role.FOLLOWER): "follower",
    int(Role.PRE_CANDIDATE): "precandidate",
    int(Role.CANDIDATE): "candidate",
    int(Role.LEADER): "leader",
}
applied_wait_s = 5.0
"""For what is committed to be applied."""


class Services:
    """The methods of commands.context.Node. Node, which is made from this, has the parts."""

    topology: Topology
    data_directory: str
    disk_full: bool
    """The disk is nearly full."""
    dispatcher: Dispatcher
    leadership: Leadership
    links_: Links | None
    """To the other nodes; None on a node that stands alone."""
    monitors: set[Session]
    router: Router
    sessions: dict[int, Session]
    shards: dict[int, Shard]
    """Of the groups that this node has a replica of, by number."""
    stopping: trio.Event
    """Set when the process is to end cleanly."""
    store: DataStore
    workbench: Workbench

    @property
    def data_shards(self) -> list[Shard]:
        """Those that hold clients' keys."""
        return [shard for number, shard in self.shards.items() if number != SYSTEM_GROUP]

    # -- groups ----------------------------------------------------------------------------------------------

    def group_infos(self) -> list[GroupInfo]:
        """See Protocol."""
        infos = []
        for number, shard in self.shards.items():
            status = shard.group.status()
            raft = status.raft
            learner = raft.id in raft.conf.learners
            infos.append(
                GroupInfo(
                    group=number,
                    role="learner" if learner else _ROLES[int(raft.role)],
                    leader=raft.leader,
                    term=raft.term,
                    first_index=raft.first_index,
                    last_index=raft.last_index,
                    commit=raft.commit,
                    applied=shard.applied_index,
                    log_bytes=status.log_bytes,
                    uncommitted_bytes=raft.uncommitted_bytes,
                    lease=shard.group.lease_valid(),
                    peers=tuple((peer.id, peer.match, peer.next, peer.state) for peer in raft.peers),
                    voters=tuple(sorted({*raft.conf.voters, *raft.conf.voters_outgoing})),
                    learners=raft.conf.learners,
                )
            )
        for number, route in self.router.routes.items():
            if number not in self.shards:
                infos.append(GroupInfo(number, "absent", route.leader, 0, 0, 0, 0, 0, 0, 0, False, ()))
        return sorted(infos, key=lambda info: info.group)

    def keyspace(self) -> list[tuple[int, int]]:
        """See Protocol."""
        totals = [[0, 0] for _ in range(DATABASES)]
        for shard in self.data_shards:
            for total, database in zip(totals, shard.meta().databases, strict=True):
                total[0] += database.keys
                total[1] += database.expires
        return [(keys, expires) for keys, expires in totals]

    async def call(self, group: int, db: int, args: list[bytes], protocol: int = 2) -> Any:
        """See Protocol."""
        return await self.dispatcher.asker.call(group, db, args, protocol)

    # -- other nodes -----------------------------------------------------------------------------------------

    def links(self) -> Iterable[tuple[int, bool, int]]:
        """See Protocol."""
        if self.links_ is None:
            return
        for number in self.topology.nodes:
            for link in (
                self.links_.link(FORWARD_LANE, number),
                self.links_.accepted(FORWARD_LANE, number),
            ):
                if link is not None:
                    yield number, link.dialed, link.buffered_bytes

    def reachable(self) -> set[int]:
        """See Protocol."""
        return {number for number, dialed, _ in self.links() if dialed}

    @property
    def short_of_replicas(self) -> bool:
        """See Protocol."""
        return self.dispatcher.gate.short_of_replicas

    # -- clients ---------------------------------------------------------------------------------------------

    def unblock(self, client_id: int, error: bool) -> bool:
        """See Protocol."""
        session = self.sessions.get(client_id)
        return session is not None and session.blocked is not None and session.blocked.unblock(error=error)

    def monitors_changed(self) -> None:
        """See Protocol."""
        self.dispatcher.watch_everything()
        for shard in self.shards.values():
            shard.set_monitored(bool(self.monitors))
        if self.router.forwarder is not None:
            self.router.forwarder.monitored = bool(self.monitors)

    def pause_clients(self, until_ms: int, writes_only: bool) -> None:
        """See Protocol."""
        self.dispatcher.pause(until_ms, writes_only)
        for shard in self.shards.values():
            shard.paused = bool(until_ms)

    def paused_until_ms(self) -> int:
        """See Protocol."""
        return self.dispatcher.gate.pausing.until_ms

    # -- long commands and scripts ---------------------------------------------------------------------------

    def end_work(self, session: Session) -> None:
        """See Protocol."""
        for shard in self.shards.values():
            call = None if shard.work is None else shard.work.call
            if call is not None and getattr(call.slot, "session", None) is session:
                shard.worker.kill_client(call)
        if self.router.forwarder is not None:
            self.router.forwarder.kill(session)

    def running_function(self) -> tuple[list[bytes], int] | None:
        """See Protocol."""
        for shard in self.shards.values():
            work = shard.work
            if work is not None and work.function and work.call is not None:
                return work.call.args, int(work.age_s * 1000)
        return None

    def busy_script(self) -> bytes | None:
        """See Protocol."""
        if not self.workbench:
            return None
        return next(
            (shard.worker.busy for shard in self.shards.values() if shard.worker.busy is not None), None
        )

    def cached_scripts(self) -> int:
        """See Protocol."""
        return len({text for shard in self.data_shards for text in shard.newest_in(*SCRIPT_TEXTS)})

    # -- what is on disk -------------------------------------------------------------------------------------

    @property
    def refusal(self) -> bytes:
        """See Protocol."""
        if self.disk_full:
            return DISK_FULL
        return OUT_OF_MEMORY if self.dispatcher.gate.out_of_memory else b""

    def disk_bytes(self) -> int:
        """See Protocol."""
        total = 0
        for folder, _folders, files in os.walk(self.data_directory):
            for file in files:
                try:
                    total += os.stat(os.path.join(folder, file)).st_size
                except FileNotFoundError:
                    continue  # LevelDB has just replaced it
        return total

    def unswept_groups(self) -> int:
        """See Protocol."""
        return sum(
            shard.replica.has_leftovers or shard.applied_index < shard.group.last_index
            for shard in self.shards.values()
        )

    async def digest(self) -> int:
        """See Protocol."""
        applied = []
        for shard in self.data_shards:
            applied.append(trio.Event())
            shard.group.apply_now(applied[-1].set)
        with trio.move_on_after(applied_wait_s):
            for event in applied:
                await event.wait()
        digests = [
            await trio.to_thread.run_sync(digest, shard.replica, abandon_on_cancel=True)
            for shard in self.data_shards
        ]
        return sum(digests) % (1 << 8 * DIGEST_BYTES)

    async def wait_synced(self) -> None:
        """See Protocol."""
        await trio.to_thread.run_sync(self.store.sync)

    async def shutdown(self, *, now: bool) -> None:
        """See Protocol."""
        if not now:
            await self.leadership.hand_over()
        self.stopping.set()
        await trio.sleep_forever()
