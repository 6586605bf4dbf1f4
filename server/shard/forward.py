"""Sending calls to the node that leads their group (lane.py); what others send here is done in visits.py.

When the connection breaks, what was asked and not answered is asked again if it was no write. What became of a write
is told by the log (receipts.py): its reply, soon; that it has to be asked again, soon after the group has another
leader, or when the one that it keeps has told how far the log has to be applied for that (`_settled`). It is unknown,
and the client is told so, when nobody tells in time, and when this node has no replica of the group.
"""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from raft.runtime.frames import LONG_BYTES, Payload
from raft.runtime.link import Link
from raft.runtime.links import Links
from resp import Error, encode
from server.access.check import Denial, Reason
from server.cluster.topology import SYSTEM_GROUP
from server.commands.table import COMMANDS
from server.errors import REQUEST_TOO_LARGE
from server.session import Session
from server.shard.call import Call, Later
from server.shard.lane import (
    LANE,
    Request,
    Response,
    buffer_bytes_max,
    frame_bytes_max,
    requests_in,
    responses_in,
    send_some,
)
from server.shard.receipts import Fate, Sent
from server.shard.route import Route
from server.shard.visits import Pace, Visits

_SETTLED = COMMANDS[b"_settled"]
Where = tuple[int, int, int]
"""A node, a group, and a term in which it may lead that."""


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

    __slots__ = ("call", "index", "route", "sent", "until_s", "where")

    def __init__(self, route: Route, call: Call, node: int, sent: Sent) -> None:
        self.route = route
        self.call = call
        self.sent = sent
        self.where: Where = (node, route.group, sent.term)
        self.index: int | None = None
        """Its receipt stands in the log up to there, or nowhere."""
        self.until_s = 0.0
        """When it is unknown in any case; 0: nobody has looked yet."""


class Forwarder:
    """The calls of one node that others do. It owns the lane, and hands on what others ask."""

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
        pace: Pace,
        on_elapsed: Callable[[Call, list[int]], None],
        on_shown: Callable[[int, bytes], None],
    ) -> None:
        """Frames arrive within a turn of whoever polls the links; `on_receive`: one has. `on_turn_start`,
        `on_turn_end`: make a turn when a connection breaks; `on_link`: one came up; `when_applied`: see ClusterState;
        `pace`: see Visits; `on_elapsed`: so many microseconds one of our calls took at another node, or each command of
        a transaction; `on_shown`: a script of one called a command, see Hub.on_monitored."""
        self._links = links
        self._routes = routes
        self._on_receive = on_receive
        self._on_turn_start = on_turn_start
        self._on_turn_end = on_turn_end
        self._on_link = on_link
        self._on_elapsed = on_elapsed
        self._on_shown = on_shown
        self.monitored = False
        """Somebody MONITORs this node."""
        self._ids = count(1)
        self._asker = secrets.randbits(63) | 1
        self._doubts: dict[int, _Doubt] = {}
        """By the number of the request."""
        self._asked_to_settle: set[Where] = set()
        for route in routes.values():
            if route.shard is not None:
                route.shard.replica.asker = self._asker
        self._peers: dict[int, _Peer] = {}
        self._dirty_peers: set[int] = set()
        self.visits = Visits(routes, when_applied, pace)
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
        if call.notes is not None or self.monitored:
            request.notes = (call.notes is not None, self.monitored)
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

    def flush(self) -> None:
        """Send the frames of this turn."""
        peers = list(self._dirty_peers)
        self._dirty_peers.clear()
        for node in peers:
            peer = self._peers[node]
            link = self._links.link(LANE, node)
            peer.outbox = [] if link is None else send_some(link, peer.outbox, partial(self._fail, peer))
            if peer.outbox:
                self._dirty_peers.add(node)
        self.visits.flush()

    def _fail(self, peer: _Peer, request: Request) -> list[Request]:
        """A request is too large for a frame: nothing is sent in its place."""
        route, call = peer.asked.pop(request.id)
        call.slot.fill(encode(Error(REQUEST_TOO_LARGE), call.protocol))
        route.answered(call)
        return []

    def _on_open(self, link: Link) -> None:
        if link.dialed:
            self._on_link()
        else:
            self.visits.opened(link)

    def _on_close(self, link: Link) -> None:
        if not link.dialed:
            self.visits.closed(link)
            return
        peer = self._peers.pop(link.peer, None)
        if peer is None:
            return
        self._dirty_peers.discard(link.peer)
        self._asked_to_settle = {where for where in self._asked_to_settle if where[0] != link.peer}
        self._on_turn_start()
        for id_, (route, call) in peer.asked.items():
            route.broke(link.peer)
            if call.command is _SETTLED:
                continue  # it is asked anew: among what waits it would wait for what it is to settle
            if not call.is_write:
                route.lost(call)
            elif call.sent is not None:
                self._doubts[id_] = _Doubt(route, call, link.peer, call.sent)
            else:
                route.unknown(call)
        self._on_turn_end()

    def settle(self, now_s: float) -> None:
        """Now and then: hear what the log tells of our writes."""
        heard: dict[Route, int] = {}
        for route in self._routes.values():
            shard = route.shard
            if shard is None:
                continue
            heard[route] = applied = shard.applied_index  # before the receipts, which are there first
            receipts = shard.replica.receipts
            while receipts:
                _, id_, reply = receipts.popleft()
                self._told(id_, reply)
            shard.settled_term = shard.group.term_at(applied) or 0
        for id_, doubt in list(self._doubts.items()):
            if self._is_settled(doubt, heard[doubt.route], now_s):
                del self._doubts[id_]
            elif doubt.index is None and doubt.where not in self._asked_to_settle:
                self._ask_to_settle(doubt)

    def _is_settled(self, doubt: _Doubt, heard: int, now_s: float) -> bool:
        """`heard`: the index up to which the receipts are known."""
        route, call = doubt.route, doubt.call
        if not route.expects(call) or call.sent is not doubt.sent:
            return True
        doubt.until_s = doubt.until_s or now_s + route.leader_wait_s
        fate = route.fate(call)
        if fate == Fate.OPEN and doubt.index is not None and doubt.index <= heard:
            fate = Fate.NEVER
        if fate == Fate.NEVER:
            route.leaves(call)
            route.lost(call)
        elif fate == Fate.UNKNOWN or now_s > doubt.until_s:
            route.unknown(call)
        return fate != Fate.OPEN or not route.expects(call)

    def _ask_to_settle(self, doubt: _Doubt) -> None:
        """If the node can be reached again and leads, ask it how far its log has what it was asked before."""
        node, _, term = where = doubt.where
        call = Call(_SETTLED, [b"_settled", b"%d" % term], 0, 2, Later(partial(self._hear, where)))
        if doubt.route.leader == node and self.send(doubt.route, node, call):
            self._asked_to_settle.add(where)

    def _hear(self, where: Where, reply: bytes) -> None:
        """An index; or null, and it is asked again: something is still under way there, or another leads.

        Whatever is in doubt by now was sent before this was asked: connections to one node follow each other."""
        self._asked_to_settle.discard(where)
        if reply[:1] == b":":
            for doubt in self._doubts.values():
                if doubt.where == where:
                    doubt.index = int(reply[1:-2])

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

    def _on_frame(self, link: Link, payload: Payload) -> None:
        self._on_receive()
        if link.dialed:
            self._take(self._peers.get(link.peer), responses_in(link, payload))
        else:
            self.visits.take(link, requests_in(link, payload), at_once=len(payload) <= LONG_BYTES)

    def _take(self, peer: _Peer | None, responses: list[Response]) -> None:
        if peer is None:
            return
        for response in responses:
            if not response.id:
                self._routes[response.leader].still_busy()
                continue
            if response.waits:
                if response.id in peer.asked:
                    _, call = peer.asked[response.id]
                    call.args = response.args or call.args
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
                for db, words in response.shown or ():
                    self._on_shown(db, words)
                if call.notes is not None:
                    call.notes.complete = response.untouched
                    call.notes.then()
                if response.reply[:1] == b"-" and call.transaction is None:
                    call.command.failed_calls += 1
                for reason, at, what in response.denied or ():
                    assert call.caller is not None
                    call.caller.report(Denial(Reason(reason), at, what))
                call.slot.fill(response.reply)
                route.answered(call)
