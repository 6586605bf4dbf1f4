"""What a NODE command may use: the client's session and the services of the node it talks to.

A NODE handler takes `(context, args)`. It returns its reply, or is `async def` when it has to wait: then the
commands behind it on the same connection wait too, and a closed connection cancels it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from server.session import Session

if TYPE_CHECKING:
    from server.cluster.membership import Membership
    from server.cluster.state import ClusterState
    from server.cluster.topology import Topology
    from server.parameters.settings import Settings
    from server.pubsub.hub import Hub
    from server.pubsub.tracking import Tracking
    from server.scripting.functions import Functions
    from server.telemetry.diagnostics import CommandLog, Latency
    from server.telemetry.rates import Rates
    from server.telemetry.stats import Stats


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """How one shard group stands, as this node's replica knows it."""

    group: int
    role: str
    """leader, follower, candidate, learner, or absent: this node holds no replica of it."""
    leader: int
    """Node number, 0: not known."""
    term: int
    first_index: int
    last_index: int
    commit: int
    applied: int
    log_bytes: int
    uncommitted_bytes: int
    lease: bool
    """Leader with a valid lease."""
    peers: tuple[tuple[int, int, int, str], ...]
    """At the leader: (node, match, next, state) of every replica."""
    voters: tuple[int, ...] = ()
    """Nodes whose word counts, as far as this replica knows; in a joint state those before and after."""
    learners: tuple[int, ...] = ()
    """Nodes that get the data and have no say yet."""


class Users(Protocol):
    """Those who may do something here, as far as commands ask; server/access/ has all of it."""

    denied: dict[str, int]
    """How often what was refused, for INFO."""

    @property
    def no_password(self) -> bool:
        """The default user has none."""

    def get(self, name: bytes) -> object | None:
        """The user of that name."""

    def admit(self, session: Session) -> None:
        """A session begins anew."""

    def log_in(self, session: Session, name: bytes, password: bytes) -> bool:
        """Let the session act as a user; whether it may."""

    def report_login(self, name: bytes, context: bytes, command_name: bytes, client_info: bytes) -> None:
        """Note for ACL LOG that somebody could not log in."""


class Node(Protocol):
    """The services of a node."""

    topology: "Topology"
    settings: "Settings"
    stats: "Stats"
    slowlog: "CommandLog"
    large_requests: "CommandLog"
    large_replies: "CommandLog"
    latency: "Latency"
    rates: "Rates"
    """Sampled by a timer of the node, for INFO's instantaneous_ fields."""
    sessions: dict[int, Session]
    """By id."""
    monitors: set[Session]
    pubsub: "Hub"
    tracking: "Tracking"
    started_s: float
    """Unix time."""
    run_id: str
    """40 hex digits, new with each start."""
    data_directory: str
    config_file: str
    """Path, or empty."""
    membership: "Membership | None"
    """Members of the groups; None on a node that stands alone."""
    state: "ClusterState"
    """What all nodes share: users, functions."""
    functions: "Functions"
    """The libraries of functions."""
    users: Users
    active_expire: bool
    """DEBUG SET-ACTIVE-EXPIRE."""
    scripts_run_anything: bool
    """DEBUG SET-DISABLE-DENY-SCRIPTS."""

    @property
    def short_of_replicas(self) -> bool:
        """Fewer of them are connected than min-replicas-to-write says."""

    @property
    def refusal(self) -> bytes:
        """Why this node does nothing that needs space, as an error's text; empty: it does."""

    def cached_scripts(self) -> int:
        """How many scripts the groups know that this node has."""

    def group_infos(self) -> list[GroupInfo]:
        """Every group of the cluster."""

    def keyspace(self) -> list[tuple[int, int]]:
        """(keys, expires) of each database, from this node's replicas of all groups it holds."""

    async def call(self, group: int, db: int, args: list[bytes], protocol: int = 2) -> Any:
        """Run a SHARD or CLUSTER command on the leader of `group`, wherever that is, and return the decoded reply (an
        hiredis.ReplyError object for an error reply, not raised). After a CLUSTER command `state` shows the change."""

    def pause_clients(self, until_ms: int, writes_only: bool) -> None:
        """CLIENT PAUSE until Unix time `until_ms`; 0 ends it."""

    def monitors_changed(self) -> None:
        """A session was added to or taken from `monitors`."""

    def paused_until_ms(self) -> int:
        """0 when not paused."""

    def unblock(self, client_id: int, error: bool) -> bool:
        """CLIENT UNBLOCK; whether there was such a client and it was blocked."""

    def links(self) -> Iterable[tuple[int, bool, int]]:
        """(node, whether we dialed it, bytes waiting to be sent) of every connection with a peer, a peer's together."""

    def reachable(self) -> set[int]:
        """The other nodes that this one has dialed and can ask."""

    def unswept_groups(self) -> int:
        """Of how many groups this node may still have values that are deleted, but whose space is not free."""

    def disk_bytes(self) -> int:
        """Size of the data directory's files."""

    async def shutdown(self, *, now: bool) -> None:
        """Hand the leaderships over (unless `now`), flush, and end the process. Does not return."""

    def end_work(self, session: Session) -> None:
        """The client was killed: a long command of its that is being evaluated did not happen."""

    def busy_script(self) -> bytes | None:
        """What clients are told because a script runs here for too long; None: none does."""

    def running_function(self) -> tuple[list[bytes], int] | None:
        """The request and the milliseconds so far of a function that runs here and takes long."""

    async def digest(self) -> int:
        """Of all that this node's replicas have applied, below 2**160 (shard/digest.py)."""

    async def wait_synced(self) -> None:
        """Return when everything that this node has applied so far is synced in its data store."""


class Context:
    """One NODE command's surroundings."""

    __slots__ = ("in_transaction", "node", "session")

    def __init__(self, node: Node, session: Session) -> None:
        self.node = node
        self.session = session
        self.in_transaction = False
        """EXEC runs it: its reply is an element of an array."""
