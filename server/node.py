"""One node: the stores, Raft's host, a shard and a route for each group, the reactor.

This file wires; what the parts do stands in their own rooms, and what commands ask of the node as a whole in
services.py. `Node.end_turn` is the end of every turn of the loop, whoever began it: routes drain, shards propose,
frames leave, Raft is pumped, replies are flushed.
"""

import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from raft.core.messages import ConfState
from raft.runtime.host import Host
from raft.runtime.links import Links
from raft.runtime.options import HostOptions
from raft.storage import LogStore
from resp import Limits
from server.access.users import STORED, Users
from server.cluster.identity import PeerCheck, check_identity
from server.cluster.membership import Membership
from server.cluster.state import ClusterState
from server.cluster.topology import SYSTEM_GROUP
from server.config.file import MIB, Config
from server.config.users import configured_users
from server.dispatch.dispatcher import Dispatcher
from server.keyspace.home import Home
from server.keyspace.hot import HotReplies
from server.keyspace.leveldb import DataStore, SparseStore
from server.keyspace.meta import DATABASES
from server.net.connection import Connection
from server.net.reactor import Reactor
from server.parameters.oom import OomScore
from server.parameters.settings import Settings
from server.pubsub.hub import Hub
from server.pubsub.lane import Exchange
from server.pubsub.tracking import Tracking
from server.scripting.functions import PREFIX as FUNCTIONS_PREFIX
from server.scripting.functions import Functions
from server.services import Services
from server.session import Session
from server.shard.call import Call
from server.shard.clock import TurnClock
from server.shard.forward import Forwarder
from server.shard.lane import LANE as FORWARD_LANE
from server.shard.leadership import Leadership
from server.shard.overlay import Overlay
from server.shard.periods import Periods
from server.shard.replica import Replica
from server.shard.router import Router
from server.shard.shard import Shard
from server.shard.work import INTERRUPTED
from server.shard.workbench import Workbench
from server.telemetry.diagnostics import CommandLog, Latency
from server.telemetry.process import resident_bytes
from server.telemetry.rates import Rates
from server.telemetry.stats import Stats

_LOG_LEVELS = {
    b"debug": logging.DEBUG,
    b"verbose": logging.INFO,
    b"notice": logging.INFO,
    b"warning": logging.WARNING,
    b"nothing": logging.CRITICAL + 1,
}
"""Of CONFIG SET loglevel."""

deadlines_period_s = 0.02
"""How often what has waited too long is looked for."""


class Node(Services):
    """Everything of one node. Made by app.py, which also runs it."""

    def __init__(self, config: Config, name: str, on_fatal: Callable[[BaseException], None]) -> None:
        """Opens the data directory. Raises StorageError, DataStoreError, ConfigError, OSError."""
        self.config = config
        self.name = name
        self.topology = config.topology(name)
        self.settings = Settings(config.redis_parameters())
        self.stats = Stats()
        self.slowlog = CommandLog(self.settings, "slowlog-log-slower-than", "slowlog-max-len")
        self.large_requests = CommandLog(
            self.settings, "commandlog-request-larger-than", "commandlog-large-request-max-len"
        )
        self.large_replies = CommandLog(
            self.settings, "commandlog-reply-larger-than", "commandlog-large-reply-max-len"
        )
        self.latency = Latency(self.settings)
        self.sessions = {}
        self.monitors = set()
        self.rates = Rates()
        self.tracking = Tracking(self.sessions, self.topology.me)
        self.pubsub = Hub(self._notify, self.tracking)
        self.started_s = time.time()
        self.run_id = secrets.token_hex(20)
        me = config.node(name)
        self.data_directory = str(Path(me.data).absolute())
        self.config_file = str(Path(config.source).absolute()) if config.source else ""
        self.clock = TurnClock()
        self.deadlines_timer: trio.CancelScope | None = None
        """Of cron.py: ends when no turn has looked at the deadlines for a while."""
        self._deadlines_due_s = 0.0
        """When they are to be looked at next, on `clock.steady_s`."""
        self.stopping = trio.Event()
        self.disk_full = False
        self.active_expire = True
        """DEBUG SET-ACTIVE-EXPIRE."""
        self.scripts_run_anything = False
        """DEBUG SET-DISABLE-DENY-SCRIPTS."""
        self._bind = (me.bind, me.port)
        self.settings.report(
            {
                "bind": me.bind,
                "cluster-enabled": "yes" if self.topology.clustered else "no",
                "dir": self.data_directory,
                "port": str(me.port),
            }
        )
        data = Path(me.data)
        data.mkdir(parents=True, exist_ok=True)
        self.log_store = LogStore.open(data / "log", create=True)
        check_identity(self.log_store, config.cluster, name, self.topology)
        self.store = DataStore(
            data / "data",
            block_cache_bytes=config.storage.block_cache_mb * MIB,
            write_buffer_bytes=config.storage.write_buffer_mb * MIB,
            compression=config.storage.compression,
        )
        self.peer_check = PeerCheck(self.log_store, self.topology)
        self.links_ = None
        self.exchange: Exchange | None = None
        if self.topology.clustered:
            self.links_ = self._make_links()
        self.host = Host(
            self.topology.me,
            self.log_store,
            self.links_,
            _host_options(config),
            sync_state=self.store.sync,
            on_fatal=on_fatal,
            on_turn_end=self._host_turn_ended,
            seed=secrets.randbits(64),
        )
        self.limits = Limits()
        self.reactor = Reactor(
            self.clock,
            self.stats,
            self.limits,
            end_turn=self._gathered,
            new_session=self._new_session,
            end_session=self._end_session,
        )
        self.hot = HotReplies(DATABASES, config.storage.record_cache_keys // 2 or 1)
        self.router = Router(
            self.topology, self.clock, self.hot, leader_wait_s=config.raft.leader_wait_ms / 1000
        )
        self.shards = {}
        self.state = ClusterState()
        self.workbench = Workbench()
        for group in self.topology.groups.values():
            self.router.add(group.number, self._make_shard(group.number, group.replicas))
        self.periods = Periods(self.hot, self.shards, self.clock)
        self.state.follow(self.shards[SYSTEM_GROUP])
        self.functions = Functions()
        self.state.watch(FUNCTIONS_PREFIX, self.functions.changed)
        if self.links_ is not None:
            self.links_.poller = self.reactor
            self.router.forwarder = Forwarder(
                self.links_,
                self.router.routes,
                on_receive=self.clock.refresh,
                on_turn_start=self.clock.advance,
                on_turn_end=self.end_turn,
                on_link=self.router.link_opened,
                when_applied=self.state.when_applied,
                pace=self.reactor,
                on_elapsed=self._took_elsewhere,
                on_shown=self._show_scripted,
            )
            self.exchange = self.pubsub.outbound = Exchange(self.links_, self.pubsub)
            self.tracking.unacknowledged = self._can_ask_others_than
        self.leadership = Leadership(
            self.topology, self.shards, config.raft.heartbeat_ms / 1000, end_turn=self.end_turn
        )
        self.membership: Membership | None = None
        if self.links_ is not None:
            self.membership = Membership(
                self.topology, self.shards, self.links_, self.peer_check, self.host.disk
            )
        self.dispatcher = Dispatcher(
            self, self.topology, self.router, self.clock, databases=DATABASES, end_turn=self.end_turn
        )
        self.reactor.connect(self.dispatcher)
        self.pubsub.on_monitored = self._show_scripted
        self.users = Users(
            self.settings, self.sessions, configured_users(config, self.settings), self._open_to_all
        )
        if not config.acl.ignore_stored:
            self.state.watch(STORED, self.users.stored)
        self.settings.on_change(self._apply_settings)
        self._follow_oom_score()
        self._apply_settings(frozenset())

    def _make_links(self) -> Links:
        me = self.topology.nodes[self.topology.me]
        return Links(
            node_id=me.number,
            node_name=me.name,
            cluster=self.config.cluster,
            incarnation=self.log_store.incarnation,
            listen=(self.config.node(self.name).bind, me.peer_port),
            peers={
                node.number: (node.name, node.host, node.peer_port)
                for node in self.topology.nodes.values()
                if node.number != me.number
            },
            secret=self.config.raft.secret or None,
            check_peer=self.peer_check,
        )

    def _make_shard(self, number: int, replicas: tuple[int, ...]) -> Shard | None:
        if self.topology.me not in replicas:
            return None
        store = SparseStore(self.store) if number == SYSTEM_GROUP else self.store
        replica = Replica(store, number)
        shard = Shard(
            replica,
            partial(Overlay, store),
            self.clock,
            self.stats,
            use_lease=self.config.raft.reads != "quorum",
            stale_max_ms=self.config.raft.stale_max_ms,
            cache_limit=self.config.storage.record_cache_keys // (2 * len(self.topology.data_groups)) or 1,
            hot=self.hot,
            on_change=self.router.shard_changed,
            on_dirty=self.router.shard_dirty,
            on_events=self.pubsub.happened,
            on_applied=self.state.refresh if number == SYSTEM_GROUP else lambda: None,
            home=Home(number, self.topology.slot_groups, self),
            on_work=self.workbench.add,
            on_work_done=lambda call, seconds: self.dispatcher.observers.work_done(call, seconds),
            limits=self.settings,
        )
        shard.group = self.host.add_group(number, ConfState(tuple(sorted(replicas))), shard)
        shard.group.eager = number == SYSTEM_GROUP  # who changes it waits for that
        self.shards[number] = shard
        return shard

    # -- turns -----------------------------------------------------------------------------------------------

    def _gathered(self) -> None:
        """The reactor's turn, or any other, has gathered its work: carry it out."""
        self.router.run()
        self.host.pump()
        if self.exchange is not None:
            self.exchange.flush()  # news of a change before the replies: who caches is told less often without need
        if self.clock.steady_s >= self._deadlines_due_s:
            self._check_deadlines()
        self.router.run()
        if self.tracking.busy:
            self.tracking.end_turn()
        if self.exchange is not None:
            self.exchange.flush()

    def _check_deadlines(self) -> None:
        """Give up on what has waited too long. Done within a turn, as to wake up for it costs many times as much."""
        self._deadlines_due_s = self.clock.steady_s + deadlines_period_s
        if self.deadlines_timer is not None:
            self.deadlines_timer.deadline = trio.current_time() + deadlines_period_s
        self.router.check_deadlines()
        if 0 < self.dispatcher.gate.pausing.until_ms <= self.clock.now_ms:
            self.pause_clients(0, False)

    def end_turn(self) -> None:
        """The end of a turn."""
        self.reactor.end_turn()

    def _host_turn_ended(self) -> None:
        self.clock.advance()
        self.reactor.end_turn()

    async def listen(self) -> None:
        """Take both ports. Raises OSError."""
        if self.links_ is not None:
            await self.links_.bind()
        self.reactor.listen(*self._bind)

    # -- settings and sessions -------------------------------------------------------------------------------

    def _follow_oom_score(self) -> None:
        names = ("oom-score-adj", "oom-score-adj-values")
        score = OomScore()
        self.settings.before_change(names, score.follow)
        try:
            score.follow({name: self.settings.value(name) for name in names})
        except ValueError as error:
            logging.getLogger("redraft").warning("oom-score-adj: %s", error)

    def _apply_settings(self, changed: frozenset[str]) -> None:
        settings = self.settings
        if "loglevel" in changed:
            logging.getLogger().setLevel(_LOG_LEVELS[settings.log_level])
        self.limits.bulk_bytes_max = max(settings.proto_max_bulk_len, 1024)
        self.limits.query_buffer_bytes_max = max(settings.client_query_buffer_limit, 1024)
        reactor = self.reactor
        reactor.clients_max = settings.maxclients
        reactor.keepalive_s = settings.tcp_keepalive_s
        reactor.limit_output(settings.output_limits["normal"], settings.output_limits["pubsub"])
        share = settings.maxmemory_clients
        limit_bytes = share if share >= 0 else settings.maxmemory_bytes * -share // 100
        reactor.evictor.limit(limit_bytes, reactor.connections)
        reactor.large_request_bytes = self.large_requests.threshold
        reactor.large_reply_bytes = self.large_replies.threshold
        self.pubsub.configure(settings.notify_keyspace_events)
        self.tracking.limit(settings.tracking_table_keys_max)
        self.dispatcher.configure()
        self.check_means()
        for shard in self.shards.values():
            shard.worker.busy_after_s = settings.busy_reply_threshold_ms / 1000

    def check_means(self) -> None:
        """Whether there are memory and replicas enough for writes. With `noeviction` this process takes no more of them
        while it uses more memory than `maxmemory`. (With another policy it would give up values for more room, but
        values are on disk here.) The other nodes are its replicas, while they are connected."""
        settings, gate = self.settings, self.dispatcher.gate
        limit = settings.maxmemory_bytes
        gate.out_of_memory = 0 < limit < resident_bytes() and settings.maxmemory_policy == b"noeviction"
        wanted = settings.min_replicas_to_write if settings.min_replicas_max_lag_s else 0
        gate.short_of_replicas = wanted > 0 and len(self.reachable()) < wanted
        self.dispatcher.watch_everything()

    def _notify(self, classes: int) -> None:
        """Keyspace events of these classes are wanted from now on."""
        for shard in self.data_shards:
            shard.set_notify(classes)

    def _can_ask_others_than(self, nodes: set[int]) -> bool:
        """Whether calls can be forwarded to a node that is not among these."""
        links = self.links_
        return links is not None and any(
            number not in nodes and links.link(FORWARD_LANE, number) is not None
            for number in self.topology.nodes
        )

    def _open_to_all(self, is_open: bool) -> None:
        """Whether clients need no password."""
        self.reactor.authenticated_at_start = is_open

    def _new_session(self, session: Session) -> None:
        self.users.admit(session)
        session.readonly = self.config.raft.reads == "stale"
        self.sessions[session.id] = session

    def _end_session(self, session: Session) -> None:
        self.sessions.pop(session.id, None)
        self.pubsub.forget(session)
        self.tracking.disable(session)
        if session.blocked is not None:
            session.blocked.unblock(error=False)
        if session in self.monitors:
            self.monitors.discard(session)
            self.monitors_changed()

    def _took_elsewhere(self, call: Call, elapsed_us: list[int]) -> None:
        self.dispatcher.observers.took_elsewhere(call, elapsed_us)

    def _show_scripted(self, db: int, words: bytes) -> None:
        self.dispatcher.observers.show_scripted(db, words)

    # -- now and then ----------------------------------------------------------------------------------------

    def work_on(self) -> bool:
        """Give one command that takes long a slice; whether there is more to do."""
        self.clock.advance()
        more = self.workbench.go_on()
        if self.router.forwarder is not None:
            for group in self.workbench.due_notices():
                self.router.forwarder.visits.tell_busy(group)
        self.end_turn()
        return more

    def expire_due(self) -> bool:
        """Let every group that is led here delete some of what is past its time; whether there may be more."""
        if not self.active_expire or self.dispatcher.gate.pausing.until_ms:
            return False
        self.clock.advance()
        more = [shard.expirer.expire_due() for shard in self.shards.values() if shard.ready]
        self.end_turn()
        return any(more)

    @property
    def busy_connections(self) -> list[Connection]:
        """Connections with something under way."""
        return [connection for connection in self.reactor.connections if not connection.idle]

    def close(self) -> None:
        """After everything has ended: close the stores."""
        for shard in self.shards.values():
            shard.worker.end(INTERRUPTED)
        self.store.close()
        self.log_store.close()


def _host_options(config: Config) -> HostOptions:
    raft = config.raft
    return HostOptions(
        tick_s=raft.tick_s,
        election_ticks=raft.election_ticks,
        heartbeat_ticks=raft.heartbeat_ticks,
        lease_fraction=raft.lease_ms / raft.election_timeout_ms,
        uncommitted_bytes_max=raft.uncommitted_mb * MIB,
        log_retain_bytes=raft.log_retain_mb * MIB,
        snapshot_bytes_per_s=raft.snapshot_mb_per_s * MIB,
    )
