"""Calls that other nodes send here, since this one leads their group as far as they know.

Each is done, or refused with the leader as we know it; it is never sent on: one hop. When a node refuses a call it
refuses all that were sent before the other could know of that (`epoch`), so that their order is kept. What a client
waits for here ends with the connection of its node.

The requests of many clients, with deep pipelines, may come in one frame. What the turn has no time for is done in the
next ones, in order.

Some requests are no calls of clients: to let a call wait no longer (`Request.cancel`), what nodes ask each other of
their replicas (`_applied`, `_matches`), and whether all is done that was asked over a connection that broke
(`_settled`).
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from raft.core.node import Role
from raft.runtime.link import Link
from resp import OK, Error, encode
from server.access.caller import Caller, user_of
from server.access.check import Denial
from server.access.rules import User
from server.commands.table import CLUSTER, READONLY, Args, Reply, command, lookup
from server.errors import REPLY_TOO_LARGE
from server.keyspace.notes import ScriptNotes
from server.keyspace.view import View
from server.shard.call import Call, Overtaken, Transaction
from server.shard.lane import Request, Response, send_some
from server.shard.receipts import Sent
from server.shard.route import Route
from server.shard.shard import Shard

_APPLIED = b"+OK\r\n"
_between_looks_at_the_clock = 64
"""Requests."""


class Pace(Protocol):
    """Who makes the turns."""

    def is_late(self) -> bool:
        """Whether this turn has taken long."""

    def postpone(self, go_on: Callable[[], None]) -> None:
        """Call this in the next turn."""


@command("_applied", arity=2, flags=READONLY, group="server")
def applied(view: View, args: Args) -> Reply:
    """Tells when the node has applied group 0's log up to an index. Asked of a node and not of a group; when the
    connection breaks it comes here instead, and nobody waits for it any more."""
    return OK


@command("_settled", arity=2, flags=READONLY, group="server")
def settled(view: View, args: Args) -> Reply:
    """Up to which index the log has all that the node that asks has asked before, over connections that broke, in a
    term; null when that can not be said yet. Asked of a node likewise."""
    return None


class _Visitor:
    """A node that forwards calls to us, over one connection."""

    __slots__ = ("due", "inbox", "link", "outbox", "refused_epochs", "waiting")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.due = 0
        """Requests that were begun and have not been answered or refused."""
        self.inbox: deque[Request] = deque()
        """Those for the next turns."""
        self.outbox: list[Response] = []
        self.waiting: dict[int, tuple[Route, Call]] = {}
        """Id to what may wait for a key here."""
        self.refused_epochs: dict[int, int] = {}
        """Group to the newest epoch of which something was refused."""

    def asked(self, call: Call, id_: int) -> bool:
        """Whether `call` is the request with this id."""
        slot = call.slot
        return isinstance(slot, _Visit) and slot.is_of(self, id_)


class _Visit:
    """The slot of a forwarded call."""

    __slots__ = (
        "_denied", "_dirty", "_elapsed_us", "_epoch", "_group", "_id", "_response", "_visitor", "call", "notes",
        "shard",
    )  # fmt: skip

    def __init__(self, visitor: _Visitor, request: Request, dirty: set[_Visitor]) -> None:
        self._visitor = visitor
        self._id = request.id
        self._group = request.group
        self._epoch = request.epoch
        self._dirty = dirty
        self.call: Call | None = None
        self.shard: Shard | None = None
        """Of a CLUSTER command: the index goes along with the reply, of its own change or of what it found."""
        self.notes: ScriptNotes | None = None
        """See Call."""
        self._denied: list[tuple[int, int, bytes]] | None = None
        self._elapsed_us: list[int] | None = None
        self._response: Response | None = None
        """What is on its way, once there is something."""

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """See Slot. Whoever has sent it knows the client."""
        return False

    def is_of(self, visitor: _Visitor, id_: int) -> bool:
        """Whether it is the way back to this request."""
        return self._visitor is visitor and self._id == id_

    def fill(self, reply: bytes) -> None:
        """See Slot."""
        self._visitor.due -= 1
        self._visitor.waiting.pop(self._id, None)
        index = 0
        if self.call is not None and self.shard is not None:
            index = max(self.call.gate, self.shard.applied_index)
        self._response = Response(self._id, reply, 0, index, self._denied, None, self._elapsed_us)
        if self.notes is not None:
            self._response.untouched = self.notes.untouched
            self._response.shown = self.notes.shown
        self._visitor.outbox.append(self._response)
        self._dirty.add(self._visitor)

    def took(self, elapsed_us: list[int]) -> None:
        """See Visit. The reply may be there already, but has not left before the turn ends."""
        self._elapsed_us = elapsed_us
        if self._response is not None:
            self._response.elapsed_us = elapsed_us

    def waits(self, args: list[bytes]) -> None:
        """See Visit."""
        self._visitor.outbox.append(Response(self._id, None, args=args, waits=True))
        self._dirty.add(self._visitor)

    def deny(self, user: User, denial: Denial) -> None:
        """A script of the call was refused something."""
        self._denied = [*(self._denied or ()), (denial.reason, denial.at, denial.object)]

    def refuse(self, leader: int, args: list[bytes] | None = None) -> None:
        """See Visit."""
        epochs = self._visitor.refused_epochs
        epochs[self._group] = max(epochs.get(self._group, -1), self._epoch)
        self._visitor.due -= 1
        self._visitor.waiting.pop(self._id, None)
        self._visitor.outbox.append(Response(self._id, None, leader, args=args))
        self._dirty.add(self._visitor)


class Visits:
    """Those of all nodes to this one."""

    def __init__(
        self,
        routes: dict[int, Route],
        when_applied: Callable[[int, Callable[[], None]], None],
        pace: Pace,
    ) -> None:
        """`when_applied`: see ClusterState."""
        self._routes = routes
        self._when_applied = when_applied
        self._pace = pace
        self._visitors: dict[Link, _Visitor] = {}
        self._gone: dict[int, list[_Visitor]] = {}
        """By node: those whose connection broke while something was due to them."""
        self._dirty: set[_Visitor] = set()
        """Never another object: visits have it."""
        self.count = 0
        """Requests so far."""

    def opened(self, link: Link) -> None:
        """Another node has connected; from an older connection nothing comes any more, be it told so later."""
        for older in [older for older in self._visitors if older.peer == link.peer]:
            self.closed(older)
        self._visitors[link] = _Visitor(link)

    def closed(self, link: Link) -> None:
        """It is gone, and with it those who waited, and what was not begun."""
        gone = self._visitors.pop(link, None)
        if gone is None:
            return
        gone.inbox.clear()
        for route, call in list(gone.waiting.values()):
            route.unblock(call, error=False)
        self._dirty.discard(gone)
        before = self._gone.get(link.peer, [])
        self._gone[link.peer] = [each for each in (*before, gone) if each.due]

    def _settled(self, node: int, route: Route, term: int) -> int | None:
        """See `settled`. What was answered while we led is committed."""
        self._gone[node] = [gone for gone in self._gone.get(node, []) if gone.due]
        shard = route.shard
        leads = shard is not None and shard.role == Role.LEADER and shard.group.term == term
        return shard.group.commit if shard is not None and leads and not self._gone[node] else None

    @property
    def busy(self) -> bool:
        """Another node waits for an answer from here, or it has not left yet."""
        return any(
            visitor.due or visitor.inbox or visitor.outbox or visitor.link.buffered_bytes
            for visitor in self._visitors.values()
        )

    def tell_busy(self, group: int) -> None:
        """Let those that wait for something of `group` wait on: it is at work."""
        for visitor in self._visitors.values():
            if visitor.due or visitor.inbox:
                visitor.outbox.append(Response(0, None, group))
                self._dirty.add(visitor)

    def flush(self) -> None:
        """Send the frames of this turn."""
        visitors = list(self._dirty)
        self._dirty.clear()
        for visitor in visitors:
            visitor.outbox = send_some(visitor.link, visitor.outbox, _without_reply)
            if visitor.outbox:
                self._dirty.add(visitor)

    def take(self, link: Link, requests: list[Request], *, at_once: bool) -> None:
        """What the node at the other end of `link` asks; not `at_once` when reading it has taken its time."""
        visitor = self._visitors[link]
        goes_on = bool(visitor.inbox)
        visitor.inbox += requests
        if goes_on:
            return
        if at_once:
            self._go_on(visitor)
        else:
            self._pace.postpone(partial(self._go_on, visitor))

    def _go_on(self, visitor: _Visitor) -> None:
        """Do what the turn has time for, some in any case."""
        inbox = visitor.inbox
        while inbox:
            for _ in range(min(len(inbox), _between_looks_at_the_clock)):
                request = inbox.popleft()
                if request.cancel is not None:
                    self._cancel(visitor, request, error=request.cancel)
                else:
                    self._visit(visitor, request)
            if inbox and self._pace.is_late():
                self._pace.postpone(partial(self._go_on, visitor))
                return

    def _cancel(self, visitor: _Visitor, request: Request, *, error: bool) -> None:
        """Let the call with the request's id wait, or work, no longer."""
        route = self._routes[request.group]
        if request.id in visitor.waiting:
            route.unblock(visitor.waiting[request.id][1], error=error)
        elif route.shard is not None and route.shard.work is not None:
            call = route.shard.work.call
            if call is not None and visitor.asked(call, request.id):
                route.shard.worker.kill_client(call)

    def _visit(self, visitor: _Visitor, request: Request) -> None:
        route = self._routes[request.group]
        visit = _Visit(visitor, request, self._dirty)
        visitor.due += 1
        self.count += 1
        row = lookup(request.args)
        assert row is not None
        if row.name == "_applied":
            self._when_applied(int(request.args[1]), partial(visit.fill, _APPLIED))
            return
        if row.name == "_matches":
            found = route.matches(int(request.args[1]))
            if found is None:
                visit.refuse(route.leader)
            else:
                visit.fill(encode(found, 2))
            return
        if row.name == "_settled":
            visit.fill(encode(self._settled(visitor.link.peer, route, int(request.args[1])), 2))
            return
        transaction = None
        if request.commands is not None:
            rows = [(lookup(args), args, db) for args, db in request.commands]
            transaction = Transaction([(r, a, d) for r, a, d in rows if r is not None], request.watched)
        call = Call(row, request.args, request.db, request.protocol, visit, transaction, request.origin)
        call.forwarded = visit
        call.wanders = request.wanders
        if transaction is not None or row.group == "scripting":
            reads, shown = request.notes or (False, False)
            call.notes = visit.notes = ScriptNotes(visiting=True, reads=reads, shown=shown)
        if request.user is not None:
            call.caller = Caller(user_of(*request.user), visit.deny)
        if row.where is CLUSTER:
            visit.call, visit.shard = call, route.shard
        if request.asker:
            call.receipt = (request.asker, request.id)
            call.sent = Sent(request.term, 0)
        if request.waited_ms:
            call.since_s = route.since_s(request.waited_ms)
        if row.blocks and transaction is None:
            visitor.waiting[request.id] = (route, call)
        if request.epoch <= visitor.refused_epochs.get(request.group, -1) or not route.accept(call):
            visit.refuse(route.leader)


def _without_reply(response: Response) -> list[Response]:
    """What is sent in the place of an answer that is too large for a frame."""
    response.reply = encode(Error(REPLY_TOO_LARGE), 2)
    return [response]
