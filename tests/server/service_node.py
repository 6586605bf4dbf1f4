"""A node's services without a node: what NODE commands see of it, all plain data that a test sets."""

import inspect
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from resp.values import Error
from server.access.rules import User
from server.access.users import Users
from server.cluster.membership import Membership
from server.cluster.topology import NodeAddress, Topology
from server.commands import all as all_commands
from server.commands.context import Context, GroupInfo
from server.commands.table import lookup
from server.errors import CommandError
from server.parameters.settings import Settings
from server.pubsub.hub import Hub
from server.pubsub.tracking import Tracking
from server.scripting.functions import Functions
from server.session import Session
from server.telemetry.diagnostics import CommandLog, Latency
from server.telemetry.rates import Rates
from server.telemetry.stats import Stats

assert all_commands.loaded


class FakeOutlet:
    """A connection that remembers what was done to it."""

    def __init__(self) -> None:
        self.output_bytes = 0
        self.query_bytes = 0
        self.replies_due = False
        self.pushed: list[Any] = []
        self.closed = ""
        """`now` or `after reply` once it is closed."""

    def push(self, value: Any) -> None:
        self.pushed.append(value)

    def send(self, data: bytes) -> None:
        self.pushed.append(data)

    def inform(self, data: bytes) -> None:
        self.pushed.append(data)

    def close(self, after_reply: bool = False) -> None:
        self.closed = "after reply" if after_reply else "now"


def group_info(group: int, leader: int, me: int = 1, **more: Any) -> GroupInfo:
    """A group with `leader` (0: none) as the node `me` sees it; its log ends at 10 and is committed."""
    peers: tuple[tuple[int, int, int, str], ...] = ()
    if leader == me:
        peers = tuple((number, 10, 11, "replicate") for number in (1, 2, 3))
    fields: dict[str, Any] = {
        "group": group,
        "role": "leader" if leader == me else "follower",
        "leader": leader,
        "term": group + 2,
        "first_index": 1,
        "last_index": 10,
        "commit": 10,
        "applied": 10,
        "log_bytes": 100,
        "uncommitted_bytes": 0,
        "lease": leader == me,
        "peers": peers,
    }
    return GroupInfo(**{**fields, **more})


class ServiceNode:
    """The node n1 of one, or of three with four groups."""

    def __init__(self, *, nodes: int = 1, me: int = 1) -> None:
        addresses = tuple(
            NodeAddress(number, f"n{number}", "127.0.0.1", 7000 + number, 17000 + number)
            for number in range(1, nodes + 1)
        )
        self.topology = Topology("test", me, addresses, 1 if nodes == 1 else 4, min(nodes, 3), "forward")
        self.settings = Settings()
        self.stats = Stats()
        self.slowlog = CommandLog(self.settings, "slowlog-log-slower-than", "slowlog-max-len")
        self.large_requests = CommandLog(
            self.settings, "commandlog-request-larger-than", "commandlog-large-request-max-len"
        )
        self.large_replies = CommandLog(
            self.settings, "commandlog-reply-larger-than", "commandlog-large-reply-max-len"
        )
        self.latency = Latency(self.settings)
        self.rates = Rates()
        self.sessions: dict[int, Session] = {}
        self.monitors: set[Session] = set()
        self.tracking = Tracking(self.sessions)
        self.pubsub = Hub(tracking=self.tracking)
        self.functions = Functions()
        self.refusal = b""
        self.short_of_replicas = False
        self.users = Users(self.settings, self.sessions, {b"default": User.default()})
        self.started_s = time.time() - 100
        self.run_id = "ab" * 20
        self.data_directory = "/data"
        self.config_file = ""
        self.membership: Membership | None = None
        self.active_expire = True
        self.scripts_run_anything = False
        self.infos = [group_info(group, 1, me) for group in self.topology.groups]
        if nodes == 1:
            self.infos = [replace(info, peers=((1, 10, 11, "replicate"),)) for info in self.infos]
        self.connected = [number for number in self.topology.nodes if number != me]
        self.databases = [(0, 0)] * 16
        self.answers: dict[bytes, Any] = {}
        """Name of an internal command to its reply."""
        self.asked: list[tuple[int, int, list[bytes]]] = []
        self.pause = (0, False)
        self.events: list[str] = []
        """What was told to the node, in order."""
        self.session = self.connect()

    def connect(self, address: str = "127.0.0.1:5000") -> Session:
        """One more client."""
        session = Session(len(self.sessions) + 1, FakeOutlet(), address, "127.0.0.1:7001", time.time())
        self.sessions[session.id] = session
        return session

    def group_infos(self) -> list[GroupInfo]:
        return self.infos

    def cached_scripts(self) -> int:
        return 0

    def keyspace(self) -> list[tuple[int, int]]:
        return self.databases

    async def call(self, group: int, db: int, args: list[bytes], protocol: int = 2) -> Any:
        self.asked.append((group, db, args))
        return self.answers[args[0]]

    def pause_clients(self, until_ms: int, writes_only: bool) -> None:
        self.pause = (until_ms, writes_only)

    def monitors_changed(self) -> None:
        self.events.append("monitors changed")

    def paused_until_ms(self) -> int:
        return self.pause[0]

    def unblock(self, client_id: int, error: bool) -> bool:
        self.events.append(f"unblock {client_id} {'error' if error else 'timeout'}")
        return client_id == 2

    def links(self) -> Iterable[tuple[int, bool, int]]:
        return [(number, dialed, 0) for number in self.connected for dialed in (True, False)]

    def reachable(self) -> set[int]:
        return set(self.connected)

    def unswept_groups(self) -> int:
        return 0

    def disk_bytes(self) -> int:
        return 1 << 20

    async def shutdown(self, *, now: bool) -> None:
        self.events.append("shutdown now" if now else "shutdown")

    def end_work(self, session: Session) -> None:
        pass

    def running_function(self) -> tuple[list[bytes], int] | None:
        return None

    def busy_script(self) -> bytes | None:
        return None

    async def digest(self) -> int:
        return 0

    async def wait_synced(self) -> None:
        self.events.append("synced")

    async def run(self, *args: str | bytes, session: Session | None = None) -> Any:
        """The reply to a request; an error reply as Error."""
        request = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        row = lookup(request)
        assert row is not None
        assert not row.is_container, args
        try:
            row.check_arity(request)
            reply = row.handler(Context(self, session or self.session), request)
            return await reply if inspect.isawaitable(reply) else reply
        except CommandError as error:
            return Error(error.text)

    async def text(self, *args: str | bytes) -> str:
        """The reply when it is text for people."""
        reply = await self.run(*args)
        return bytes(reply.value).decode()
