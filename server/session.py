"""What belongs to one client's connection: RESP version, database, transaction, name, flags.

Plain state. net/ makes a Session for each connection, dispatch/ and the commands change it. It is kept small,
since ten thousand idle ones are nothing special.
"""

from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import Any, Protocol

connection_bytes = 2 << 10
"""About what a connection costs that asks nothing."""
name_bytes = 200
"""About what it costs to remember a key, a channel or a prefix for one."""
DEFAULT_USER = b"default"
"""Who every session begins as."""


class Outlet(Protocol):
    """The connection as a session's owner sees it."""

    @property
    def output_bytes(self) -> int:
        """Bytes of replies that the client has not taken yet."""

    @property
    def query_bytes(self) -> int:
        """Bytes of the request that has not arrived whole yet."""

    @property
    def replies_due(self) -> bool:
        """Something has been asked that is not answered yet."""

    def inform(self, data: bytes) -> None:
        """As `send`, but where that overtakes a reply that is due, once more behind it."""

    def push(self, value: Any) -> None:
        """Send an out-of-band value (MONITOR lines, RESP3 pushes) behind the replies that are due."""

    def send(self, data: bytes) -> None:
        """As `push`, for what is encoded already."""

    def close(self, after_reply: bool = False) -> None:
        """Close now, or when the reply to the command that is running has been sent."""


class Blocked(Protocol):
    """A command of this session that takes as long as it takes."""

    def unblock(self, *, error: bool) -> bool:
        """Answer it now, as if its time were over or with an error; whether it was waiting, as far as known here."""

    def check(self) -> None:
        """What the session's user may do has changed: answer with an error if that is not this any more."""

    def log_slow(self, log: Callable[[], None]) -> None:
        """Call `log` when it is answered."""


class ReplyMode(IntEnum):
    """CLIENT REPLY."""

    ON = 0
    OFF = 1
    SKIP_NEXT = 2
    """The command after this one is not answered."""
    SKIP = 3
    """This command is not answered, and then it is ON again."""


class Guard(IntFlag):
    """Why a session's commands are looked at before they run. A session without any takes the short way."""

    UNAUTHENTICATED = 1
    IN_MULTI = 2
    SUBSCRIBED = 4
    """In RESP2 a subscriber may do little else."""
    RESTRICTED = 8
    """Its user may not do everything, see access/users.py."""
    TRACKING = 16
    """What it reads is remembered, or what it writes carries its name."""
    NO_TOUCH = 32
    """What it reads is not used thereby."""


_UNAUTHENTICATED = Guard.UNAUTHENTICATED.value
"""As a plain number: this is looked at with every read from a socket."""


class Queued:
    """One command of a MULTI: its row in the table, its arguments, and the database it runs on."""

    __slots__ = ("args", "command", "db")

    def __init__(self, command: Any, args: list[bytes], db: int) -> None:
        self.command = command
        self.args = args
        self.db = db


class Tracker:
    """CLIENT TRACKING ON: what a client wants to be told of keys that it caches."""

    __slots__ = (
        "bcast",
        "broken",
        "caching",
        "noloop",
        "notes",
        "optin",
        "optout",
        "prefixes",
        "reads",
        "redirect",
    )

    def __init__(self) -> None:
        self.bcast = False
        """All keys that begin with one of `prefixes`; otherwise those that it reads."""
        self.prefixes: list[bytes] = []
        self.optin = False
        self.optout = False
        self.caching = False
        """CLIENT CACHING: the next command is an exception."""
        self.noloop = False
        """It is not told of what it changes itself."""
        self.redirect = 0
        """The id of the client that is told instead; 0: none."""
        self.broken = False
        """That client was gone when it was to be told."""
        self.reads = 0
        """How many of its commands may have read keys."""
        self.notes: Any = None
        """The keyspace.view.ScriptNotes of the script that is about to run."""

    @property
    def remembers(self) -> bool:
        """The keys of the next read are to be remembered."""
        return not self.bcast and (self.caching if self.optin else not (self.optout and self.caching))


class Session:
    """The state of one client's connection."""

    __slots__ = (
        "_queue",
        "address",
        "asking",
        "blocked",
        "capabilities",
        "connected_at_s",
        "db",
        "guards",
        "id",
        "last_active_s",
        "last_command",
        "library_name",
        "library_version",
        "local_address",
        "monitoring",
        "multi_db",
        "name",
        "net_input_bytes",
        "net_output_bytes",
        "no_evict",
        "origin",
        "outlet",
        "paused",
        "permissions",
        "protocol",
        "queue_broken",
        "queued_bytes",
        "readonly",
        "reply_mode",
        "subscriptions",
        "total_commands",
        "tracking",
        "user",
        "watched",
    )

    def __init__(self, id_: int, outlet: Outlet, address: str, local_address: str, now_s: float) -> None:
        self.id = id_
        """Unique on this node, growing."""
        self.outlet = outlet
        self.address = address
        """The client's ip:port."""
        self.local_address = local_address
        self.connected_at_s = now_s
        """Unix time."""
        self.last_active_s = now_s
        """Unix time of the last bytes read."""
        self.protocol = 2
        self.db = 0
        self.user = b"default"
        self.permissions: Any = None
        """The access.rules.User that it acts as; None when that one may do everything."""
        self.guards = 0
        """Guard flags; see there."""
        self.name = b""
        self.library_name = b""
        self.library_version = b""
        self.capabilities = ""
        """What CLIENT CAPA claimed, a letter each: r for redirect."""
        self.last_command = "NULL"
        """Full name of the last command, for CLIENT LIST."""
        self.total_commands = 0
        """Requests that were run."""
        self.net_input_bytes = 0
        self.net_output_bytes = 0
        self._queue: list[Queued] | None = None
        self.queue_broken = False
        """A command could not be queued: EXEC answers EXECABORT."""
        self.queued_bytes = 0
        """Of their arguments."""
        self.multi_db = 0
        """Database that the next queued command runs on (SELECT inside MULTI)."""
        self.watched: dict[tuple[int, bytes], int] | None = None
        """(db, key) to its revision at WATCH time."""
        self.reply_mode = ReplyMode.ON
        self.readonly = False
        """READONLY: reads may be answered by a replica."""
        self.asking = False
        self.monitoring = False
        self.subscriptions: tuple[dict[bytes, None], ...] | None = None
        """Names of channels, patterns and sharded channels (the kinds of pubsub/hub.py); None when there are none."""
        self.blocked: Blocked | None = None
        """The command that waits for a key."""
        self.paused = False
        """CLIENT PAUSE holds up its next command."""
        self.no_evict = False
        self.tracking: Tracker | None = None
        """CLIENT TRACKING; set by pubsub/tracking.py."""
        self.origin = b""
        """What the client's changes are marked with: nothing, or who it is among all clients of all nodes."""

    @property
    def authenticated(self) -> bool:
        """The client has shown who it is, or need not."""
        return not self.guards & _UNAUTHENTICATED

    @authenticated.setter
    def authenticated(self, value: bool) -> None:
        """Keeps `guards` in step."""
        self.guard(Guard.UNAUTHENTICATED, not value)

    @property
    def no_touch(self) -> bool:
        """CLIENT NO-TOUCH."""
        return bool(self.guards & Guard.NO_TOUCH)

    @no_touch.setter
    def no_touch(self, value: bool) -> None:
        """Keeps `guards` in step."""
        self.guard(Guard.NO_TOUCH, value)

    @property
    def memory_bytes(self) -> int:
        """About what the client costs in memory."""
        outlet, tracking = self.outlet, self.tracking
        names = len(self.watched or ()) + sum(map(len, self.subscriptions or ()))
        if tracking is not None:
            names += len(tracking.prefixes)
        return (
            connection_bytes
            + outlet.query_bytes
            + outlet.output_bytes
            + self.queued_bytes
            + names * name_bytes
        )

    @property
    def queue(self) -> list[Queued] | None:
        """Commands after MULTI; None outside of a transaction."""
        return self._queue

    @queue.setter
    def queue(self, value: list[Queued] | None) -> None:
        """Keeps `guards` in step."""
        self._queue = value
        self.guard(Guard.IN_MULTI, value is not None)

    def guard(self, guard: Guard, on: bool) -> None:
        """Set or clear one of `guards`."""
        self.guards = int(self.guards | guard if on else self.guards & ~guard)

    def leave_transaction(self) -> None:
        """Back to normal after EXEC, DISCARD or RESET: nothing queued, nothing watched."""
        self.queue = None
        self.queue_broken = False
        self.queued_bytes = 0
        self.watched = None
