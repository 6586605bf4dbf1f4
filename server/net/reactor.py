"""The reactor: every socket of the node, of clients and other nodes, in one epoll inside one Trio task.

Trio waits for the epoll descriptor; when it wakes, every ready socket is served in one go, and at the end of
that turn the node proposes what the turn has written, one entry per group, and sends what is ready. That is
worth twice the throughput of a task and a stream for each connection, and it is the natural batch for group
commit.

Requests that arrive together seldom arrive at once, and what a turn costs, with its entries, frames and syncs, is much
more than what a request does. So a turn looks again for what got ready while it served the others. It is bounded all
the same, by `turn_events_max` reads and by a Budget, which a hundred clients with deep pipelines use up: what is left
is for the next turn then. After some turns, or a long one, Trio runs everything else; when there is nothing else
the reactor waits a moment for the next turn itself.
"""

import logging
import select
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from math import inf
from typing import Any, Final

import trio

from resp import Error, Limits, encode
from server.dispatch.dispatcher import Dispatcher
from server.errors import INTERNAL, CommandError
from server.net.budget import Budget
from server.net.connection import Connection, error_reply
from server.net.eviction import Evictor
from server.net.output import OutputLimits
from server.session import Session
from server.shard.call import Slot
from server.shard.clock import TurnClock
from server.shard.work import in_slices
from server.telemetry.diagnostics import NEVER
from server.telemetry.stats import Stats

log = logging.getLogger("redraft.net")

turn_events_max = 128
"""Reads in one turn."""
turn_looks_max = 4
"""Times that a turn looks for what is ready: one that is fed without end does not go on for ever."""
_reads_between_looks_at_the_clock: Final = 8
turns_in_a_row_max = 8
"""Turns without a look at the other tasks: going through Trio costs like some commands."""
linger_s = 0.001
"""How long the next turn waits for something to do, while no other task wants to run."""
accepts_per_turn_max = 64
"""Clients accepted in one go, some milliseconds; the others are there at the next turn."""
backlog = 1024
"""Clients that wait to be accepted; further ones try again by themselves."""
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_GONE: Final = select.EPOLLRDHUP
TOO_MANY = b"ERR max number of clients reached"


class _Others(trio.abc.Instrument):
    """The tasks that want to run: what Trio's statistics tell, without counting everything else."""

    def __init__(self) -> None:
        self.runnable: set[trio.lowlevel.Task] = set()

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """See Instrument."""
        self.runnable.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See Instrument."""
        self.runnable.discard(task)


class Reactor:
    """All clients of a node. `run` serves them until it is cancelled."""

    def __init__(
        self,
        clock: TurnClock,
        stats: Stats,
        limits: Limits,
        *,
        end_turn: Callable[[], None],
        new_session: Callable[[Session], None],
        end_session: Callable[[Session], None],
    ) -> None:
        """`end_turn`: proposes and forwards what the turn gathered (the reactor then flushes the
        connections); `new_session`, `end_session`: told of every connection."""
        self.clock = clock
        self.stats = stats
        self.limits = limits
        self.output_limits: OutputLimits = (0, 0, 0)
        """Of normal clients."""
        self.pubsub_limits: OutputLimits = (0, 0, 0)
        """Those of clients that listen to channels."""
        self.output_checked_from: float = inf
        """Nobody with so many bytes of output or less is over a hard limit."""
        self.large_request_bytes = self.large_reply_bytes = NEVER
        """From which on the logs of such have them."""
        self.authenticated_at_start = True
        """No password is asked for."""
        self.clients_max = 10000
        self.keepalive_s = 300
        self.evictor = Evictor(stats)
        self.marked: list[Connection] = []
        """Connections that may have something to send at the end of the turn."""
        self._left: list[tuple[int, int]] = []
        """What was ready and the turn had no time for."""
        self._put_off: list[Connection] = []
        """Connections with requests that the turn had no time for. They count as marked."""
        self._postponed: list[Callable[[], None]] = []
        """What else it had no time for."""
        self._budget = Budget()
        self.execute: Callable[[Connection, list[bytes]], bytes | None]
        self._end_turn = end_turn
        self._new_session = new_session
        self._end_session = end_session
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        """By file descriptor."""
        self._listeners: dict[int, socket.socket] = {}
        self._readers: dict[int, Callable[[], None]] = {}
        """Sockets of other nodes, by file descriptor."""
        self._ids = count(1)
        self._nursery: trio.Nursery
        self.dispatcher: Dispatcher

    def connect(self, dispatcher: Dispatcher) -> None:
        """Who runs the requests."""
        self.dispatcher = dispatcher
        self.execute = dispatcher.execute

    def listen(self, host: str, port: int) -> None:
        """Accept clients at host:port. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=backlog)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener
        self._epoll.register(listener.fileno(), select.EPOLLIN)

    def stop_listening(self) -> None:
        """No new clients."""
        for descriptor, listener in self._listeners.items():
            self._epoll.unregister(descriptor)
            listener.close()
        self._listeners.clear()

    @property
    def connections(self) -> list[Connection]:
        """All open connections."""
        return list(self._connections.values())

    # -- turns -----------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; then every connection is closed."""
        descriptor = self._epoll.fileno()
        others = _Others()
        trio.lowlevel.add_instrument(others)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                while True:
                    if self._left or self._put_off or self._postponed:
                        await trio.lowlevel.checkpoint()
                    else:
                        await trio.lowlevel.wait_readable(descriptor)
                    wait_s = 0.0
                    for _ in range(turns_in_a_row_max):
                        if not self._turn(wait_s):
                            break
                        busy = self._left or self._put_off or self._postponed or others.runnable
                        wait_s = 0.0 if busy else linger_s
        finally:
            trio.lowlevel.remove_instrument(others)
            self.stop_listening()
            for connection in self.connections:
                connection.close()
            self._epoll.close()

    def add_reader(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Serve another node's socket, too: see raft.runtime.link.Poller."""
        self._readers[descriptor] = on_readable
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove_reader(self, descriptor: int) -> None:
        """No more."""
        del self._readers[descriptor]
        self._epoll.unregister(descriptor)

    def wake_on(self, descriptor: int) -> None:
        """Make a turn, too, whenever something was written to this eventfd; `end_turn` does what is due then."""
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def _turn(self, wait_s: float = 0.0) -> bool:
        """Serve what is ready, or will be within `wait_s`, and what gets ready meanwhile; whether there was anything,
        and there may be more."""
        self._budget.begin()
        room = turn_events_max
        looks = 0
        has_begun = bool(self._postponed)
        if has_begun:
            self._go_on_postponed()
            wait_s = 0.0
        ready, self._left = self._left, []
        while ready or (room > 0 and looks < turn_looks_max and (ready := self._epoll.poll(wait_s, room))):
            if not has_begun:
                self.clock.advance()
                has_begun = True
            self._serve(ready)
            room -= len(ready)
            looks += 1
            if self._left:
                break
            ready = []
            wait_s = 0.0
        if has_begun or self._put_off:
            if not has_begun:
                self.clock.advance()
            self.marked = self._put_off + self.marked
            self._put_off = []
            self.end_turn()
        has_time = self._budget.end()
        return has_begun and has_time and not self._postponed

    def _go_on_postponed(self) -> None:
        self.clock.advance()
        postponed, self._postponed = self._postponed, []
        for go_on in postponed:
            go_on()

    def _serve(self, ready: list[tuple[int, int]]) -> None:
        connections = self._connections
        for number, (descriptor, events) in enumerate(ready, 1):
            if number % _reads_between_looks_at_the_clock == 0 and self._budget.is_spent():
                self._left = ready[number - 1 :]
                return
            connection = connections.get(descriptor)
            if connection is None:
                if descriptor in self._readers:
                    self._readers[descriptor]()
                elif descriptor in self._listeners:
                    self._accept(self._listeners[descriptor])
                continue
            if events & ~_OUT and not connection.marked:  # else what is due to it comes first
                if connection.mask & _IN:
                    connection.readable()
                elif events & (_GONE | select.EPOLLHUP | select.EPOLLERR):
                    connection.close()
            if events & _OUT:
                connection.mark()

    def end_turn(self) -> None:
        """Carry out what the turn gathered, and send the replies that are ready."""
        self._budget.begin_replies()
        self._end_turn()
        marked = self.marked
        while marked:
            self.marked = []
            for connection in marked:
                connection.flush()
            if self.evictor.limit_bytes:
                self.evictor.weigh(marked)
            marked = self.marked
            if marked:  # a backlog went on: it may have written
                self._end_turn()

    def puts_off(self, connection: Connection) -> bool:
        """Whether what `connection` has sent is for the next turn, as this one has taken so long."""
        if self._budget.lets_go_on():
            return False
        connection.marked = True
        self._put_off.append(connection)
        return True

    def is_late(self) -> bool:
        """Whether this turn has taken long."""
        return self._budget.is_spent()

    def postpone(self, go_on: Callable[[], None]) -> None:
        """Have the next turn begin with this: the present one has taken long."""
        self._postponed.append(go_on)

    def watch(self, connection: Connection, *, reading: bool, writing: bool, blocked: bool) -> None:
        """What to wake up for. A blocked client is watched for its end, which cancels what it waits for."""
        mask = (_IN if reading else 0) | (_OUT if writing else 0) | (_GONE if blocked else 0)
        if mask != connection.mask:
            connection.mask = mask
            self._epoll.modify(connection.sock.fileno(), mask)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(accepts_per_turn_max):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("A client could not be accepted: %s", error)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.keepalive_s:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.keepalive_s)
            if len(self._connections) >= self.clients_max:
                self.stats.rejected_connections += 1
                with suppress(OSError):  # it is being turned away as it is
                    sock.send(error_reply(TOO_MANY))
                sock.close()
                continue
            local = sock.getsockname()
            connection = Connection(
                self, sock, next(self._ids), f"{address[0]}:{address[1]}", f"{local[0]}:{local[1]}"
            )
            connection.session.authenticated = self.authenticated_at_start
            self.stats.connections_received += 1
            self._connections[sock.fileno()] = connection
            connection.mask = _IN
            self._epoll.register(sock.fileno(), _IN)
            self._new_session(connection.session)

    def forget(self, connection: Connection) -> None:
        """A connection closes."""
        descriptor = connection.sock.fileno()
        if self._connections.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
            connection.sock.close()
            self.evictor.forget(connection)
            self._end_session(connection.session)

    def limit_output(self, normal: OutputLimits, pubsub: OutputLimits) -> None:
        """Set the output buffer limits, see the attributes."""
        self.output_limits, self.pubsub_limits = normal, pubsub
        self.output_checked_from = min((hard for hard, _, _ in (normal, pubsub) if hard), default=inf)

    def check_output_limits(self) -> None:
        """Now and then: close those that have been over their soft limit for too long, though nothing more is sent to
        them."""
        if self.output_limits[1] or self.pubsub_limits[1]:
            for connection in self.connections:
                if connection.output_bytes:
                    connection.check_output_limit()

    def log_overrun(self, connection: Connection, size: int) -> None:
        """A client did not take its replies."""
        self.stats.output_limit_disconnections += 1
        session = connection.session
        log.warning(
            "Client %d (%s) was closed: its output buffer reached %d bytes", session.id, session.address, size
        )

    # -- tasks -----------------------------------------------------------------------------------------------

    def start(self, connection: Connection, work: Awaitable[Any], slot: Slot) -> trio.CancelScope:
        """Await `work` in a task and put its value into `slot`."""
        scope = trio.CancelScope()
        self._nursery.start_soon(self._finish, connection, work, slot, scope)
        return scope

    async def _finish(
        self, connection: Connection, work: Awaitable[Any], slot: Slot, scope: trio.CancelScope
    ) -> None:
        value: Any = Error(INTERNAL)
        with scope:
            try:
                value = await work
            except CommandError as error:
                value = Error(error.text)
            except Exception:
                log.exception("A command failed; its client was told so")
                self.stats.unexpected_errors += 1
        reply = await in_slices(partial(encode, value, connection.session.protocol))
        if connection.closed:
            return
        slot.fill(reply)
        connection.finished()
        self.clock.advance()
        self.end_turn()
