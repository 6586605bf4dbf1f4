"""One command on its way to the leader of a shard group, and the slot that its reply goes to."""

from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

from server.access.caller import Caller
from server.commands.table import MANY_ARGUMENTS, Args, Command
from server.keyspace.notes import ScriptNotes
from server.shard.receipts import Sent
from server.telemetry.stats import Stats

_order: Final = count(1)


class Changes(Protocol):
    """What later requests of a client may have changed; see dispatch/order.py."""

    def touch(self, args: Args, place: int) -> bool:
        """Whether one behind `place` may have changed what `args` is about."""


Overtaken = dict[object, tuple[Changes, dict[object, int]]]
"""Client to what was answered of its requests, and the places of its slots that are due."""


class Slot(Protocol):
    """Where a reply is awaited: a place in a connection's queue, a forwarded request, a part of a larger
    reply."""

    def fill(self, reply: bytes) -> None:
        """The encoded reply; called once."""

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """Whether a later command of the same client was answered that may have changed what the call `args` is about,
        whose reply is awaited here. Then it is not done any more: its place in the order is gone. `known`: empty, or
        what was found when others were asked at the same moment."""


class Transaction:
    """What EXEC runs on one group: the queued commands, and what was watched."""

    __slots__ = ("commands", "elapsed_ns", "watched")

    def __init__(
        self, commands: list[tuple[Command, Args, int]], watched: list[tuple[int, bytes, int]]
    ) -> None:
        self.commands = commands
        """(row, args, db) in order."""
        self.watched = watched
        """(db, key, revision at WATCH time)."""
        self.elapsed_ns: list[int] = []
        """How long each command took; empty when the group is led elsewhere, or nothing was run."""

    @property
    def may_take_long(self) -> bool:
        """One of the commands may, or there are many to run or many keys to look at."""
        if len(self.commands) + len(self.watched) >= MANY_ARGUMENTS:
            return True
        return any(len(args) >= command.long_from for command, args, _ in self.commands)

    def count(self, replies: list[bytes], stats: Stats) -> None:
        """Statistics of the commands, which have been run; `replies`: theirs."""
        for (command, _, _), elapsed_ns, reply in zip(self.commands, self.elapsed_ns, replies, strict=True):
            command.count(elapsed_ns)
            if reply[:1] == b"-":
                stats.count_error(reply)


class Call:
    """A command, or a transaction, for one group.

    There is one for each write; what few of them need stands in the class until it is set.
    """

    transaction: Transaction | None = None
    reply = b""
    """The evaluated reply, while it waits for its index or for a proof of leadership."""
    gate = 0
    """The index that the reply waits for."""
    proof = 0
    """Of a read that waits for a proof of leadership: the index of the next entry when it was evaluated. If that is
    committed with the leader's term, it proves as much."""
    wrote = False
    """The evaluation had effects."""
    deadline_s = 0.0
    """Steady time until which it may wait for a leader; 0: not waiting yet."""
    lost = False
    """It is to be done again, and a later one of its client may have been answered meanwhile."""
    caller: Caller | None = None
    """For whom it runs, when it is a script or may have one in it, and that user may not do everything."""
    receipt: tuple[int, int] | None = None
    """Who is to be told by the log that it was done, and by which number: see receipts.py."""
    sent: Sent | None = None
    """When it was last forwarded; on the other side, for which term."""
    since_s = 0.0
    """Unix time from which the timeout of a blocking call counts, whatever node it waits at; 0: not waiting yet."""
    epoch = 0
    unblocked: bool | None = None
    """Another node that has it was asked to let it wait no longer, with an error or without. Should that node
    refuse it, it is not done elsewhere: nobody waits for it any more."""
    origin = b""
    """Session.origin of the client."""
    wanders = False
    """It is a script that names no keys: see dispatch/wandering.py."""
    notes: ScriptNotes | None = None
    """Where the scripts in it note what they do."""

    def __init__(
        self,
        command: Command,
        args: Args,
        db: int,
        protocol: int,
        slot: Slot,
        transaction: Transaction | None = None,
        origin: bytes = b"",
    ) -> None:
        self.command = command
        self.args = args
        self.db = db
        self.protocol = protocol
        """RESP version in which the reply is encoded."""
        self.slot = slot
        self.order = next(_order)
        """Calls of one group that have to be sent again go in this order."""
        self.forwarded: Visit | None = None
        """It came from another node, which is told when it can not be done here; it is never sent on. Not in the class:
        mypyc forgets a None there whose other type is a Protocol."""
        if transaction is not None:
            self.transaction = transaction
        if origin:
            self.origin = origin

    def took(self, elapsed_ns: int) -> None:
        """Tell the client's node how long it took here."""
        assert self.forwarded is not None
        each_ns = [elapsed_ns] if self.transaction is None else self.transaction.elapsed_ns
        self.forwarded.took([each // 1000 for each in each_ns])

    def note_unblocked(self, *, error: bool) -> None:
        """It waited, and will be answered without having been served. The client's node counts what failed."""
        if error and self.forwarded is None:
            self.command.failed_calls += 1

    @property
    def is_write(self) -> bool:
        """It may change something."""
        if self.transaction is None:
            return self.command.is_write
        return any(row.is_write for row, _, _ in self.transaction.commands)


class Visit(Protocol):
    """A forwarded request's way back."""

    def took(self, elapsed_us: list[int]) -> None:
        """How long the command took, or each of a transaction's, for its client's node to know."""

    def waits(self, args: Args) -> None:
        """It waits for a key, and `args` is what to ask elsewhere from now on, should the way back be lost."""

    def refuse(self, leader: int, args: Args | None = None) -> None:
        """Not done and never will be, from here; `leader` is the node to ask instead, 0 when not known; `args`: it
        has waited for a key, and this is what to ask."""


class Later:
    """A Slot that hands the reply to a function; who waits for it sends nothing else."""

    __slots__ = ("fill",)

    def __init__(self, then: Callable[[bytes], None]) -> None:
        self.fill = then

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """See Slot."""
        return False
