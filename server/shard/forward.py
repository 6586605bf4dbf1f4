"""Sending calls to the node that leads their group, and doing those that other nodes send.

One connection to each node (lane "forward" of raft.runtime.links), opened by the one that asks. All requests
of a turn to one node are one frame, all replies likewise. A reply carries either the encoded RESP reply or a
refusal with the leader as the refusing node knows it. A call that came over this lane is done or refused,
never sent on: one hop.

When the connection breaks, what was asked and not answered is asked again if it was no write. What became of a write
is told by the log (receipts.py), soon after the group has another leader: its reply, or that it has to be asked again.
It is unknown, and the client is told so, when the group keeps its leader, and when this node has no replica of it.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import TypeVar

import msgspec

from raft.runtime.frames import UNDECODABLE, FrameError
from raft.runtime.link import Link
from raft.runtime.links import Links
from resp import OK, Error, encode
from server.access.caller import Caller, user_of
from server.access.check import Denial, Reason
from server.access.rules import User
from server.cluster.topology import SYSTEM_GROUP
from server.commands.table import CLUSTER, COMMANDS, READONLY, Args, Reply, command, lookup
from server.errors import REPLY_TOO_LARGE, REQUEST_TOO_LARGE
from server.keyspace.view import View
from server.session import Session
from server.shard.call import Call, Later, Overtaken, Transaction
from server.shard.receipts import Fate, Sent
from server.shard.route import Route
from server.shard.shard import Shard

log = logging.getLogger("redraft.forward")

LANE = "forward"
_APPLIED = b"+OK\r\n"
buffer_bytes_max = 64 << 20
"""Bytes waiting for one node; calls wait in their route above it."""
frame_bytes_max = 1 << 30
doubt_s = 0.5
"""What was under way on a connection that broke is unknown when the node has been back for so long and still leads."""


class Request(msgspec.Struct, array_like=True):
    """One call on its way to the leader."""

    id: int
    group: int
    epoch: int
    db: int
    protocol: int
    args: list[bytes]
    commands: list[tuple[list[bytes], int]] | None = None
    """Of a transaction: (args, db) each."""
    watched: list[tuple[int, bytes, int]] = []
    cancel: bool | None = None
    """Not a call: the one with this id need not wait any longer; whether it is answered with an error."""
    user: tuple[bytes, bytes] | None = None
    """Name and rules of the user for whom a script runs."""
    asker: int = 0
    """Who wants a receipt, in the log, of a write; 0: nobody."""
    term: int = 0
    """The only term in which it may be done then."""
    waited_ms: int = 0
    """How long a blocking call has waited already, at other leaders."""
    origin: bytes = b""
    """See Call."""
    wanders: bool = False
    """See Call."""


class Response(msgspec.Struct, array_like=True):
    """Its answer."""

    id: int
    reply: bytes | None
    """None: refused."""
    leader: int = 0
    """With the id 0: nobody's answer, but the number of a group that is at work on a long command."""
    index: int = 0
    """Of a CLUSTER command: what the node that asked has to have applied to know as much."""
    denied: list[tuple[int, int, bytes]] | None = None
    """What a script was refused (access.check.Denial), for the log of the client's node."""
    args: list[bytes] | None = None
    """Of a refusal: the call has waited for a key, and this is what to ask elsewhere."""
    elapsed_us: list[int] | None = None
    """How long the command took, or each of a transaction's."""


_Message = TypeVar("_Message", Request, Response)
_encode = msgspec.msgpack.Encoder().encode
_decode_requests = msgspec.msgpack.Decoder(list[Request]).decode
_decode_responses = msgspec.msgpack.Decoder(list[Response]).decode


@command("_applied", arity=2, flags=READONLY, group="server")
def applied(view: View, args: Args) -> Reply:
    """Tells when the node has applied group 0's log up to an index. Asked of a node and not of a group; when the
    connection breaks it comes here instead, and nobody waits for it any more."""
    return OK


class _Peer:
    """What is on its way to one node."""

    __slots__ = ("asked", "outbox", "waiting")

    def __init__(self) -> None:
        self.asked: dict[int, tuple[Route, Call]] = {}
        self.outbox: list[Request] = []
        self.waiting: dict[Call, int] = {}
        """Those of `asked` that may wait for a key there, and their ids."""


class _Doubt:
    """A write that was under way on a connection that broke."""

    __slots__ = ("back_s", "call", "node", "route", "sent", "until_s")

    def __init__(self, route: Route, call: Call, node: int) -> None:
        self.route = route
        self.call = call
        self.sent = call.sent
        self.node = node
        self.back_s = 0.0
        """Since when the node can be reached again and leads; 0: it does not."""
        self.until_s = 0.0
        """When it is unknown in any case; 0: nobody has looked yet."""


class _Visitor:
    """A node that forwards calls to us, over one connection."""

    __slots__ = ("due", "link", "outbox", "refused_epochs", "waiting")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.due = 0
        """Requests that have not been answered or refused."""
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
        "_denied", "_dirty", "_elapsed_us", "_epoch", "_group", "_id", "_response", "_visitor", "call", "shard",
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
        self._visitor.outbox.append(self._response)
        self._dirty.add(self._visitor)

    def took(self, elapsed_us: list[int]) -> None:
        """See Visit. The reply may be there already, but has not left before the turn ends."""
        self._elapsed_us = elapsed_us
        if self._response is not None:
            self._response.elapsed_us = elapsed_us

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


class Forwarder:
    """Both directions, for one node."""

    def __init__(
        self,
        links: Links,
        routes: dict[int, Route],
        *,
        on_receive: Callable[[], None],
        on_turn_start: Callable[[], None],
        on_turn_end: Callable[[], None],
        on_link: Callable[[], None],
        when_applied: Callable[[int, Callable[[], None]], None],
        on_elapsed: Callable[[Call, list[int]], None],
    ) -> None:
        """Frames arrive within a turn of whoever polls the links; `on_receive`: one has. `on_turn_start`,
        `on_turn_end`: make a turn when a connection breaks; `on_link`: one came up;
        `when_applied`: see ClusterState; `on_elapsed`: so many microseconds one of our calls took at another node, or
        each command of a transaction."""
        self._links = links
        self._routes = routes
        self._on_receive = on_receive
        self._on_turn_start = on_turn_start
        self._on_turn_end = on_turn_end
        self._on_link = on_link
        self._when_applied = when_applied
        self._on_elapsed = on_elapsed
        self._ids = count(1)
        self._asker = secrets.randbits(63) | 1
        self._doubts: dict[int, _Doubt] = {}
        """By the number of the request."""
        for route in routes.values():
            if route.shard is not None:
                route.shard.replica.asker = self._asker
        self._peers: dict[int, _Peer] = {}
        self._visitors: dict[Link, _Visitor] = {}
        self._dirty_peers: set[int] = set()
        self._dirty_visitors: set[_Visitor] = set()
        """Never another object: visits have it."""
        self.visits = 0
        """Requests of other nodes so far."""
        links.lane(
            LANE,
            on_frame=self._on_frame,
            on_open=self._on_open,
            on_close=self._on_close,
            buffer_bytes_max=buffer_bytes_max + frame_bytes_max,
            frame_bytes_max=frame_bytes_max,
        )

    def send(self, route: Route, node: int, call: Call) -> bool:
        """Put `call` on its way; False: there is no connection, or too much waits for it."""
        link = self._links.link(LANE, node)
        if link is None or link.buffered_bytes > buffer_bytes_max:
            return False
        peer = self._peers.setdefault(node, _Peer())
        request = Request(next(self._ids), route.group, call.epoch, call.db, call.protocol, call.args)
        if call.is_write and route.shard is not None:
            call.sent = Sent(route.shard.group.term, route.shard.replica.generation)
            request.asker, request.term = self._asker, call.sent.term
        if call.since_s:
            request.waited_ms = route.waited_ms(call)
        request.origin = call.origin
        request.wanders = call.wanders
        if call.transaction is not None:
            request.commands = [(args, db) for _, args, db in call.transaction.commands]
            request.watched = call.transaction.watched
        if call.caller is not None:
            request.user = (call.caller.user.name, call.caller.user.describe())
        peer.asked[request.id] = (route, call)
        if call.command.blocks and call.transaction is None:
            peer.waiting[call] = request.id
        peer.outbox.append(request)
        self._dirty_peers.add(node)
        return True

    def cancel(self, route: Route, call: Call, *, error: bool) -> bool:
        """Ask the node that has `call` to let it wait no longer; False: nobody has it."""
        for node, peer in self._peers.items():
            id_ = peer.waiting.get(call)
            if id_ is not None:
                peer.outbox.append(Request(id_, route.group, 0, 0, 2, [], cancel=error))
                self._dirty_peers.add(node)
                return True
        return False

    def ask_applied(self, nodes: Sequence[int], index: int, then: Callable[[], None]) -> int:
        """Ask `nodes` to say when they have applied group 0's log up to `index`, and call `then` for each that does.

        Returns how many were asked: the others can not be reached."""
        row = COMMANDS[b"_applied"]
        calls = [Call(row, [b"_applied", b"%d" % index], 0, 2, Later(lambda reply: then())) for _ in nodes]
        route = self._routes[SYSTEM_GROUP]
        return sum(self.send(route, node, call) for node, call in zip(nodes, calls, strict=True))

    def kill(self, session: Session) -> None:
        """The client was killed: what other nodes are at work on for it is to end."""
        for node, peer in self._peers.items():
            for id_, (route, call) in peer.asked.items():
                if getattr(call.slot, "session", None) is session and call not in peer.waiting:
                    peer.outbox.append(Request(id_, route.group, 0, 0, 2, [], cancel=False))
                    self._dirty_peers.add(node)

    def tell_busy(self, group: int) -> None:
        """Let those that wait for something of `group` wait on: it is at work."""
        for visitor in self._visitors.values():
            if visitor.due:
                visitor.outbox.append(Response(0, None, group))
                self._dirty_visitors.add(visitor)

    def flush(self) -> None:
        """Send the frames of this turn."""
        peers, visitors = list(self._dirty_peers), list(self._dirty_visitors)
        self._dirty_peers.clear()
        self._dirty_visitors.clear()
        for node in peers:
            peer = self._peers[node]
            link = self._links.link(LANE, node)
            peer.outbox = [] if link is None else self._send_some(link, peer.outbox)
            if peer.outbox:
                self._dirty_peers.add(node)
        for visitor in visitors:
            visitor.outbox = self._send_some(visitor.link, visitor.outbox)
            if visitor.outbox:
                self._dirty_visitors.add(visitor)

    def _send_some(self, link: Link, messages: list[_Message]) -> list[_Message]:
        """Send what the link takes, nearly always all in one frame. What has to wait for a later turn."""
        while messages and link.buffered_bytes <= buffer_bytes_max:
            count = len(messages)
            payload = _encode(messages)
            while len(payload) > frame_bytes_max and count > 1:
                count //= 2
                payload = _encode(messages[:count])
            if len(payload) > frame_bytes_max:
                payload = self._without(link, messages[0])
            if payload and not link.send(payload):
                link.close()  # on_close tells the calls
                return []
            messages = messages[count:]
        return messages

    def _without(self, link: Link, message: Request | Response) -> bytes:
        """The frame to send in the place of a message that is too large to be one."""
        if isinstance(message, Response):
            message.reply = encode(Error(REPLY_TOO_LARGE), 2)
            return _encode([message])
        route, call = self._peers[link.peer].asked.pop(message.id)
        call.slot.fill(encode(Error(REQUEST_TOO_LARGE), call.protocol))
        route.answered(call)
        return b""

    @property
    def busy(self) -> bool:
        """Another node waits for an answer from here, or it has not left yet."""
        return any(
            visitor.due or visitor.outbox or visitor.link.buffered_bytes
            for visitor in self._visitors.values()
        )

    def _on_open(self, link: Link) -> None:
        if link.dialed:
            self._on_link()
        else:
            self._visitors[link] = _Visitor(link)

    def _on_close(self, link: Link) -> None:
        if not link.dialed:
            gone = self._visitors.pop(link, None)
            for route, call in list(gone.waiting.values()) if gone is not None else ():
                route.unblock(call, error=False)
            if gone is not None:
                self._dirty_visitors.discard(gone)
            return
        peer = self._peers.pop(link.peer, None)
        if peer is None:
            return
        self._dirty_peers.discard(link.peer)
        self._on_turn_start()
        for id_, (route, call) in peer.asked.items():
            if not call.is_write:
                route.lost(call)
            elif call.sent is not None:
                self._doubts[id_] = _Doubt(route, call, link.peer)
            else:
                route.unknown(call)
        self._on_turn_end()

    def settle(self, now_s: float) -> None:
        """Now and then: hear what the log tells of our writes."""
        for route in self._routes.values():
            shard = route.shard
            if shard is None:
                continue
            applied = shard.applied_index  # before the receipts, which are there first
            receipts = shard.replica.receipts
            while receipts:
                _, id_, reply = receipts.popleft()
                self._told(id_, reply)
            shard.settled_term = shard.group.term_at(applied) or 0
        for id_, doubt in list(self._doubts.items()):
            if self._is_settled(doubt, now_s):
                del self._doubts[id_]

    def _is_settled(self, doubt: _Doubt, now_s: float) -> bool:
        route, call = doubt.route, doubt.call
        if not route.expects(call) or call.sent is not doubt.sent:
            return True
        if self._links.link(LANE, doubt.node) is None or route.leader != doubt.node:
            doubt.back_s = 0.0
        else:
            doubt.back_s = doubt.back_s or now_s
        doubt.until_s = doubt.until_s or now_s + route.leader_wait_s
        fate = route.fate(call)
        if fate == Fate.NEVER:
            route.leaves(call)
            route.lost(call)
        elif fate == Fate.UNKNOWN or 0 < doubt.back_s < now_s - doubt_s or now_s > doubt.until_s:
            route.unknown(call)
        return fate != Fate.OPEN or not route.expects(call)

    def _told(self, id_: int, reply: bytes | None) -> None:
        doubt = self._doubts.pop(id_, None)
        if doubt is not None:
            route, call = doubt.route, doubt.call
        else:
            peer = next((peer for peer in self._peers.values() if id_ in peer.asked), None)
            if peer is None:
                return  # the leader was quicker
            route, call = peer.asked[id_]
            if reply is None:
                call.sent = None  # should the leader not send the reply, it is unknown
                return
            del peer.asked[id_]
            peer.waiting.pop(call, None)
        if reply is None:
            route.unknown(call)
        else:
            call.slot.fill(reply)
            route.answered(call)

    def forget(self, calls: set[Call]) -> None:
        """Whatever comes for these calls is not wanted any more."""
        for peer in self._peers.values():
            for id_ in [id_ for id_, (_, call) in peer.asked.items() if call in calls]:
                _, call = peer.asked.pop(id_)
                peer.waiting.pop(call, None)

    def _on_frame(self, link: Link, payload: bytes) -> None:
        self._on_receive()
        try:
            if link.dialed:
                responses = _decode_responses(payload)
            else:
                requests = _decode_requests(payload)
        except UNDECODABLE as error:
            raise FrameError(f"node {link.peer} sent a frame that is no list of calls: {error}") from None
        if link.dialed:
            self._take(self._peers.get(link.peer), responses)
        else:
            visitor = self._visitors[link]
            for request in requests:
                self._visit(visitor, request)

    def _take(self, peer: _Peer | None, responses: list[Response]) -> None:
        if peer is None:
            return
        for response in responses:
            if not response.id:
                self._routes[response.leader].still_busy()
                continue
            asked = peer.asked.pop(response.id, None)
            if asked is None:
                continue  # the log was quicker
            route, call = asked
            peer.waiting.pop(call, None)
            if response.reply is None:
                if response.args is not None:
                    route.leaves(call, response.args)
                route.refused(call, response.leader)
            else:
                call.gate = response.index
                if response.elapsed_us is not None:
                    self._on_elapsed(call, response.elapsed_us)
                if response.reply[:1] == b"-" and call.transaction is None:
                    call.command.failed_calls += 1
                for reason, at, what in response.denied or ():
                    assert call.caller is not None
                    call.caller.report(Denial(Reason(reason), at, what))
                call.slot.fill(response.reply)
                route.answered(call)

    def _visit(self, visitor: _Visitor, request: Request) -> None:
        route = self._routes[request.group]
        if request.cancel is not None:
            waiting = visitor.waiting.get(request.id)
            work = None if route.shard is None else route.shard.work
            if waiting is not None:
                route.unblock(waiting[1], error=request.cancel)
            elif work is not None and work.call is not None and visitor.asked(work.call, request.id):
                route.shard.worker.kill_client(work.call)  # type: ignore[union-attr]
            return
        visit = _Visit(visitor, request, self._dirty_visitors)
        visitor.due += 1
        self.visits += 1
        transaction = None
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
        if request.commands is not None:
            rows = [(lookup(args), args, db) for args, db in request.commands]
            transaction = Transaction([(r, a, d) for r, a, d in rows if r is not None], request.watched)
        call = Call(row, request.args, request.db, request.protocol, visit, transaction, request.origin)
        call.forwarded = visit
        call.wanders = request.wanders
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
