"""One client's connection: a state machine over a non-blocking socket, driven by the reactor. No task of its
own.

Bytes become requests (resp), requests become replies (dispatch), replies leave in the order of requests. A
reply that is not there yet holds a place in `_waiting`; everything behind it waits with it.

What bounds its memory. Reading stops while the client does not take its replies (`output_pause_bytes`), while
many replies are due (`_window`), and while a command that takes long keeps the connection blocked; the
rest of what had been read by then is at most one read's worth of requests. Redis's output buffer limits close
the connection on top.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from resp import Error, ProtocolError, QueryBufferOverflow, RequestParser, encode
from server.dispatch.hot import HOT
from server.dispatch.order import Changes
from server.net.output import Output, OutputLimits
from server.session import ReplyMode, Session
from server.shard.call import Overtaken
from server.telemetry.diagnostics import request_bytes

if TYPE_CHECKING:
    import trio

    from server.net.reactor import Reactor

read_bytes: Final = 64 * 1024
"""One read: enough for the deepest usual pipelines, little enough to keep a turn under about 10 ms."""
read_large_bytes = 1 << 20
"""One read while a large argument is arriving; many small ones take long to parse."""
long_request_bytes = 16 << 20
"""A request that was so long is run in the next turn: its arguments had to be copied, and will be again."""
requests_between_looks_at_the_clock: Final = 32
"""One read may bring thousands, each of which may take some milliseconds."""
output_pause_bytes: Final = 1 << 20
"""No more of a client's commands are run while this much of its replies has not been taken."""
waiting_min: Final = 64
waiting_max: Final = 4096
"""So many replies may be due to a client before no more of its commands are run. It begins with the first, doubles each
time that all have come, and shrinks when they are large: see `waiting_bytes_max`."""
waiting_bytes_max: Final = 16 << 20
"""About so much may come in for a client that does not take it, from another node or a commit."""
READABLE: Final = select.EPOLLIN


class Pending:
    """The place of a reply that comes later; a Slot (shard/call.py)."""

    __slots__ = ("_connection", "args", "muted", "reply")

    def __init__(self, connection: Connection, args: list[bytes]) -> None:
        self._connection = connection
        self.args = args
        self.reply: bytes | None = None
        self.muted = False

    @property
    def session(self) -> Session:
        """Whose reply it is."""
        return self._connection.session

    def overtaken(self, args: list[bytes], known: Overtaken) -> bool:
        """See Slot."""
        connection = self._connection
        if connection not in known:
            known[connection] = connection.changes()
        changes, places = known[connection]
        return changes.touch(args, places[self])

    def fill(self, reply: bytes) -> None:
        """See Slot."""
        self.reply = b"" if self.muted else reply
        self._connection.arrived(reply, self.args)


class Connection:
    """See the head of this file. `session.outlet` and dispatch/connection.py are its two faces."""

    __slots__ = (
        "_backlog",
        "_blocked",
        "_closing",
        "_ended",
        "_held_bytes",
        "_output",
        "_parser",
        "_reactor",
        "_scope",
        "_until_answered",
        "_waiting",
        "_window",
        "closed",
        "marked",
        "mask",
        "session",
        "sock",
    )

    def __init__(
        self, reactor: Reactor, sock: socket.socket, session_id: int, address: str, local: str
    ) -> None:
        self._reactor = reactor
        self.sock = sock
        self.session = Session(session_id, self, address, local, reactor.clock.now_s)
        self.mask = 0
        """What epoll watches for, kept by the reactor."""
        self.closed = False
        self._parser = RequestParser(reactor.limits, reactor.authenticated_at_start)
        self._output = Output()
        self._waiting: deque[Pending | bytes] = deque()
        self._held_bytes = 0
        """Of messages that went into `_waiting` since it was last empty."""
        self._backlog: deque[list[bytes]] | None = None
        """Requests that have been read but not run: only while blocked or held up."""
        self._window = waiting_min
        """How many replies may be due."""
        self._blocked = False
        self._until_answered = False
        """Blocked until all replies that are due have come."""
        self._closing = False
        self._ended = False
        """The client sends nothing any more: answer what it has sent, then close."""
        self.marked = False
        """It is in `Reactor.marked`."""
        self._scope: trio.CancelScope | None = None

    # -- the reactor's side ----------------------------------------------------------------------------------

    def readable(self) -> None:
        """Bytes have arrived."""
        parser = self._parser
        pending = parser.pending_bytes
        try:
            data = self.sock.recv(
                read_bytes
                if pending < read_bytes
                else max(read_bytes, min(parser.lacking_bytes, read_large_bytes))
            )
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            self._ended = True  # it may only have said all it has to say, and still be listening
            self.mark()
            return
        reactor = self._reactor
        clock = reactor.clock
        clock.refresh()
        size = len(data)
        self.session.last_active_s = clock.now_s
        self.session.net_input_bytes += size
        reactor.stats.net_input_bytes += size
        self._feed(data, pending + size >= reactor.large_request_bytes)
        if not self.marked and (
            self._output.pieces
            or not self._waiting
            or self._backlog is not None
            or self._blocked
            or self._closing
        ):
            self.mark()

    def _feed(self, data: bytes, large: bool = False) -> None:
        """`large`: one of the requests that this completes may be one for the log of such."""
        parser, session = self._parser, self.session
        was_long = parser.pending_bytes > long_request_bytes
        parser.authenticated = not session.guards or session.authenticated
        try:
            requests = parser.feed(data)
        except ProtocolError as error:
            self._run_all(error.requests)
            if error.lifted_by_authentication and session.authenticated:
                self._feed(b"")
                return
            if isinstance(error, QueryBufferOverflow):
                self._reactor.stats.query_limit_disconnections += 1
            else:
                self._emit(encode(error.reply, session.protocol))
            self._closing = True
            return
        if was_long and requests and not self._blocked:
            self.block()
            self._reactor.postpone(self.unblock)
        self._run_all(requests)
        if large:
            self._note_large(requests)

    def _note_large(self, requests: list[list[bytes]]) -> None:
        reactor = self._reactor
        for args in requests:
            size = request_bytes(args)
            if size >= reactor.large_request_bytes:
                reactor.dispatcher.observers.had_large_request(self.session, args, size)

    def _run_all(self, requests: list[list[bytes]]) -> None:
        if self._blocked or self._puts_off:
            self._keep(requests)
            return
        dispatcher = self._reactor.dispatcher
        execute = dispatcher.execute
        output = self._output
        pieces = output.pieces
        waiting = self._waiting
        session = self.session
        large_bytes = self._reactor.large_reply_bytes
        count = len(requests)
        number = 0
        while number < count:
            args = requests[number]
            if args[0] in HOT and not (
                waiting or session.guards or session.reply_mode or dispatcher.attentive
            ):
                replies = dispatcher.hot.answer(session, requests, number)
                if replies:
                    number += len(replies)
                    found = b"".join(replies)  # one alone stays what it is
                    pieces.append(found)
                    output.size_bytes += len(found)
                    if output.size_bytes > output_pause_bytes:
                        break
                    continue
            number += 1
            if session.reply_mode:
                self._run_muted(args)
            else:
                reply = execute(self, args)
                if reply is not None:
                    size = len(reply)
                    if session.reply_mode:  # this very command was CLIENT REPLY OFF or SKIP
                        pass
                    elif waiting:
                        waiting.append(reply)
                    else:
                        pieces.append(reply)
                        output.size_bytes += size
                    if size >= large_bytes:
                        dispatcher.observers.had_large_reply(session, args, size)
            if (
                self._blocked
                or self._closing
                or output.size_bytes > output_pause_bytes
                or len(waiting) >= self._window
                or (number % requests_between_looks_at_the_clock == 0 and self._reactor.is_late())
            ):
                break
        ran = number - 1 if self._puts_off else number  # the last one was put off
        session.total_commands += ran
        self._reactor.stats.commands_processed += ran
        if number < count:
            self._keep(requests[number:])

    def _run_muted(self, args: list[bytes]) -> None:
        """CLIENT REPLY OFF or SKIP is in force."""
        session = self.session
        if session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.SKIP
        waiting = self._waiting
        count = len(waiting)
        reply = self._reactor.execute(self, args)
        if self._backlog and self._backlog[0] is args:
            return  # it has to wait: then it is still the one to be skipped
        for place in islice(waiting, count, None):
            if isinstance(place, Pending):  # others are messages, which are sent all the same
                place.muted = True
                if place.reply is not None:
                    place.reply = b""
        if session.reply_mode is ReplyMode.ON and reply is not None:  # CLIENT REPLY ON answers
            self._emit(reply)
        elif session.reply_mode is ReplyMode.SKIP:
            session.reply_mode = ReplyMode.ON

    def _keep(self, requests: list[list[bytes]]) -> None:
        """Not now: after what the connection waits for."""
        if self._closing or not requests:
            return
        if self._backlog is None:
            self._backlog = deque(requests)
        else:
            self._backlog.extend(requests)

    @property
    def _puts_off(self) -> bool:
        """Requests have been kept for later."""
        return self._backlog is not None

    def _run_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None and not self._closing:
            self._run_all(list(backlog))

    def _emit(self, reply: bytes) -> None:
        if self._waiting:
            self._waiting.append(reply)
        else:
            self._output.pieces.append(reply)
            self._output.size_bytes += len(reply)

    def changes(self) -> tuple[Changes, dict[object, int]]:
        """What was answered of the requests that wait in order, and the place of each that is due."""
        changes = Changes()
        places: dict[object, int] = {}
        for place, pending in enumerate(self._waiting):
            if not isinstance(pending, Pending):
                continue
            if pending.reply is None:
                places[pending] = place
            else:
                changes.add(pending.args, pending.reply, place)
        return changes, places

    def arrived(self, reply: bytes, args: list[bytes]) -> None:
        """The reply to `args`, which was due, is there."""
        size = len(reply)
        if size >= self._reactor.large_reply_bytes:
            self._reactor.dispatcher.observers.had_large_reply(self.session, args, size)
        if reply[:1] == b"-":
            self._reactor.stats.count_error(reply)
        if size * self._window > waiting_bytes_max:
            self._window = max(waiting_bytes_max // size, 1)
        if not self.marked:
            self.marked = True
            self._reactor.marked.append(self)

    def mark(self) -> None:
        """There may be something to send at the end of this turn."""
        if not self.marked:
            self.marked = True
            self._reactor.marked.append(self)

    def flush(self) -> None:
        """The turn ends: send what is ready."""
        self.marked = False
        if self.closed:
            return
        waiting = self._waiting
        output = self._output
        pieces = output.pieces
        if waiting:
            while waiting:
                head = waiting[0]
                reply = head if isinstance(head, bytes) else head.reply
                if reply is None:
                    break
                waiting.popleft()
                pieces.append(reply)
                output.size_bytes += len(reply)
            if not waiting:
                self._held_bytes = 0
                if self._window < waiting_max:
                    self._window *= 2
                if self._until_answered:
                    self._until_answered = self._blocked = False
        if pieces and not self._send():
            return
        if self._backlog is not None:
            may_run = (
                not self._blocked and output.size_bytes <= output_pause_bytes and len(waiting) < self._window
            )
            if may_run and not self._reactor.puts_off(self):
                self._run_backlog()
                self.mark()
        elif not (self._blocked or self._closing or self._ended or pieces) and len(waiting) < self._window:
            if self.mask != READABLE:
                self._reactor.watch(self, reading=True, writing=False, blocked=False)
            return
        done = self._closing or (self._ended and self._backlog is None and not self._blocked)
        if done and not pieces and not waiting:
            self.close()
            return
        reading = (
            not self._blocked
            and not self._closing
            and not self._ended
            and self._backlog is None
            and output.size_bytes <= output_pause_bytes
            and len(waiting) < self._window
        )
        self._reactor.watch(self, reading=reading, writing=bool(pieces), blocked=self._blocked)

    def _send(self) -> bool:
        """Send what the socket takes; False: the connection is closed now."""
        reactor, output = self._reactor, self._output
        if output.size_bytes > reactor.output_checked_from and not self.check_output_limit():
            return False
        try:
            sent = output.send(self.sock)
        except OSError:
            self.close()
            return False
        reactor.stats.net_output_bytes += sent
        self.session.net_output_bytes += sent
        return not output.pieces or self.check_output_limit()

    def check_output_limit(self) -> bool:
        """Redis's client-output-buffer-limit: over the hard one, or over the soft one for too long, and it is
        closed. Looked at before anything is sent, whether the client would take it or not, as in Redis. False: it is
        closed now."""
        reactor = self._reactor
        size = self._output.size_bytes + self._held_bytes
        if self._output.exceeds(self._output_limits, size, reactor.clock.now_s):
            reactor.log_overrun(self, size)
            self.close()
        return not self.closed

    # -- dispatch's side -------------------------------------------------------------------------------------

    def defer(self, args: list[bytes]) -> Pending:
        """See dispatch.connection.Connection."""
        pending = Pending(self, args)
        self._waiting.append(pending)
        return pending

    def block(self) -> None:
        """See dispatch.connection.Connection."""
        self._blocked = True

    def unblock(self) -> None:
        """See dispatch.connection.Connection."""
        self._blocked = False
        self.mark()

    def postpone(self, args: list[bytes]) -> None:
        """See dispatch.connection.Connection."""
        self._blocked = True
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.appendleft(args)

    def hold_back(self, args: list[bytes]) -> bool:
        """See dispatch.connection.Connection."""
        if not self._waiting:
            return False
        self.postpone(args)
        self._until_answered = True
        return True

    def start(self, work: Any, slot: Any, protocol: int) -> None:
        """See dispatch.connection.Connection."""
        self._blocked = True
        self._scope = self._reactor.start(self, work, slot)

    def finished(self) -> None:
        """The task that `start` began has ended."""
        self._scope = None
        self.unblock()

    # -- the session's side ----------------------------------------------------------------------------------

    @property
    def output_bytes(self) -> int:
        """See Outlet."""
        return self._output.size_bytes

    @property
    def query_bytes(self) -> int:
        """See Outlet."""
        return self._parser.pending_bytes

    @property
    def _output_limits(self) -> OutputLimits:
        """Of the client's class: subscribers have their own."""
        reactor = self._reactor
        return reactor.output_limits if self.session.subscriptions is None else reactor.pubsub_limits

    def push(self, value: Any) -> None:
        """See Outlet."""
        self.send(encode(value, self.session.protocol))

    def send(self, data: bytes) -> None:
        """See Outlet. A command that blocks is overtaken: its reply may be a long time coming."""
        if self.closed:
            return
        waiting = self._waiting
        if not waiting:
            self._output.pieces.append(data)
            self._output.size_bytes += len(data)
        else:
            self._held_bytes += len(data)
            if self._blocked and isinstance(waiting[-1], Pending):
                waiting.insert(len(waiting) - 1, data)
            else:
                waiting.append(data)
        self.check_output_limit()
        self.mark()

    @property
    def replies_due(self) -> bool:
        """See Outlet."""
        return any(type(place) is Pending and place.reply is None for place in self._waiting)

    def inform(self, data: bytes) -> None:
        """See Outlet."""
        overtakes = self._blocked and bool(self._waiting) and isinstance(self._waiting[-1], Pending)
        self.send(data)
        if overtakes and not self.closed:
            self._held_bytes += len(data)
            self._waiting.append(data)

    def close(self, after_reply: bool = False) -> None:
        """See Outlet."""
        if after_reply:
            self._closing = True
            self.mark()
            return
        if self.closed:
            return
        self.closed = True
        if self._scope is not None:
            self._scope.cancel()
        self._backlog = None
        self._output.pieces.clear()
        self._reactor.forget(self)

    @property
    def idle(self) -> bool:
        """Nothing is running, nothing is due."""
        return not self._waiting and not self._output.pieces and not self._blocked and self._backlog is None


def error_reply(text: bytes) -> bytes:
    """An error for a client that is not a Connection yet."""
    return encode(Error(text), 2)
