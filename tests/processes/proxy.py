"""A TCP proxy between each pair of nodes, so that a test can break the network of a cluster on one machine.

`Network(ports)` listens once for each ordered pair (dialer, target): node `a` is configured to find node `b` at
`network.port(a, b)`. Bytes flow through one thread. What a test may do to the direction from `a` to `b`,
whoever of the two dialed the connection:

* `block`: bytes stay where they are, as if packets were lost and sent again; `heal` lets them through;
* `delay`: bytes arrive so much later, in order;
* `let_through`: so many bytes more get through, and then none, as with `block`;
* `cut`: connections of the pair are reset, and what was under way is lost.

A blocked direction stops reading once `held_bytes_max` wait, so that the sender feels it as it would feel a
full window.
"""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import permutations

held_bytes_max = 1 << 20
read_bytes = 1 << 16


class Pipe:
    """One direction of one connection."""

    def __init__(self, source: str, target: str, inlet: socket.socket, outlet: socket.socket) -> None:
        self.direction = (source, target)
        self.inlet = inlet
        self.outlet = outlet
        self.held: deque[tuple[float, bytes]] = deque()
        """(not before, bytes) in order."""
        self.held_bytes = 0
        self.ended = False
        """The inlet has reached its end; the outlet is told once everything held is through."""
        self.told = False
        """The outlet has been told."""


class Network:
    """Everything between the nodes. `close` it at the end."""

    def __init__(self, targets: Mapping[str, int]) -> None:
        """`targets`: the peer port that each node really listens on (127.0.0.1)."""
        self._targets = dict(targets)
        self._lock = threading.Lock()
        self._orders: deque[Callable[[], None]] = deque()
        self._blocked: set[tuple[str, str]] = set()
        self._delays_s: dict[tuple[str, str], float] = {}
        self._allowances: dict[tuple[str, str], int] = {}
        """Bytes that may still get through; directions without an entry are not limited."""
        self._selector = selectors.DefaultSelector()
        self._pipes: dict[socket.socket, Pipe] = {}
        """By inlet. The outlet of one direction is the inlet of the other."""
        self._watched: dict[socket.socket, int] = {}
        self._ports: dict[tuple[str, str], int] = {}
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._listeners: dict[socket.socket, tuple[str, str]] = {}
        for pair in permutations(targets, 2):
            listener = socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            self._listeners[listener] = pair
            self._ports[pair] = listener.getsockname()[1]
            self._selector.register(listener, selectors.EVENT_READ)
        self._running = True
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def port(self, dialer: str, target: str) -> int:
        """Where `dialer` finds `target`."""
        return self._ports[dialer, target]

    # -- what tests do ----------------------------------------------------------------------------------------------

    def block(self, source: str, target: str) -> None:
        """Nothing gets from `source` to `target` until `heal`."""
        self._order(lambda: self._blocked.add((source, target)))

    def isolate(self, node: str) -> None:
        """Nothing gets to `node` or away from it."""
        for other in self._targets:
            if other != node:
                self.block(node, other)
                self.block(other, node)

    def mute(self, node: str) -> None:
        """Nothing gets away from `node`; it still hears the others."""
        for other in self._targets:
            if other != node:
                self.block(node, other)

    def deafen(self, node: str) -> None:
        """Nothing gets to `node`; the others still hear it."""
        for other in self._targets:
            if other != node:
                self.block(other, node)

    def delay(self, source: str, target: str, seconds: float) -> None:
        """What `source` sends from now on reaches `target` so much later."""
        self._order(lambda: self._delays_s.__setitem__((source, target), seconds))

    def let_through(self, source: str, target: str, count: int) -> None:
        """About so many bytes more get from `source` to `target`, and nothing after them until `heal`."""
        self._order(lambda: self._allowances.__setitem__((source, target), count))

    def is_used_up(self, source: str, target: str) -> bool:
        """What `let_through` let through has got through."""
        return self._allowances.get((source, target), 1) <= 0

    def cut(self, one: str, other: str) -> None:
        """Reset every connection between the two; they may connect again at once."""
        self._order(lambda: self._cut(one, other))

    def heal(self) -> None:
        """Everything gets through, without delay; what was held goes first."""

        def order() -> None:
            self._blocked.clear()
            self._delays_s.clear()
            self._allowances.clear()

        self._order(order)

    def close(self) -> None:
        """End everything."""
        self._running = False
        self._wake()
        self._thread.join()

    def _order(self, action: Callable[[], object]) -> None:
        """Have the thread do `action`; return when it is done."""
        done = threading.Event()

        def carry_out() -> None:
            action()
            done.set()

        with self._lock:
            self._orders.append(carry_out)
        self._wake()
        assert done.wait(60)

    def _wake(self) -> None:
        with suppress(OSError):
            self._wake_write.send(b"!")

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        timeout_s: float | None = None
        while self._running:
            for key, events in self._selector.select(timeout_s):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._wake_read:
                    with suppress(BlockingIOError):
                        self._wake_read.recv(4096)
                elif sock in self._listeners:
                    self._accept(sock)
                elif sock in self._pipes and events & selectors.EVENT_READ:
                    self._receive(self._pipes[sock])
            with self._lock:
                orders, self._orders = self._orders, deque()
            for order in orders:
                order()
            timeout_s = self._deliver()
        for sock in [*self._listeners, *self._pipes, self._wake_read, self._wake_write]:
            sock.close()
        self._selector.close()

    def _accept(self, listener: socket.socket) -> None:
        dialer, target = self._listeners[listener]
        try:
            near, _ = listener.accept()
        except OSError:
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._targets[target]), timeout=1)
        except OSError:
            near.close()
            return
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pipes[near] = Pipe(dialer, target, near, far)
        self._pipes[far] = Pipe(target, dialer, far, near)

    def _receive(self, pipe: Pipe) -> None:
        try:
            data = pipe.inlet.recv(read_bytes)
        except BlockingIOError:
            return
        except OSError:
            self._drop(pipe)
            return
        if data:
            due_s = time.monotonic() + self._delays_s.get(pipe.direction, 0.0)
            pipe.held.append((due_s, data))
            pipe.held_bytes += len(data)
        else:
            pipe.ended = True

    def _deliver(self) -> float | None:
        """Send what may go; how long until more may."""
        now_s = time.monotonic()
        timeout_s: float | None = None
        masks: dict[socket.socket, int] = dict.fromkeys(self._pipes, 0)
        for pipe in list(self._pipes.values()):
            if pipe.inlet not in self._pipes:
                continue  # dropped a moment ago, with its twin
            if pipe.direction not in self._blocked:
                while pipe.held and pipe.held[0][0] <= now_s and not self.is_used_up(*pipe.direction):
                    due_s, data = pipe.held.popleft()
                    try:
                        sent = pipe.outlet.send(data)
                    except BlockingIOError:
                        sent = 0
                    except OSError:
                        self._drop(pipe)
                        break
                    pipe.held_bytes -= sent
                    if pipe.direction in self._allowances:
                        self._allowances[pipe.direction] -= sent
                    if sent < len(data):
                        pipe.held.appendleft((due_s, data[sent:]))
                        masks[pipe.outlet] |= selectors.EVENT_WRITE
                        break
                if pipe.held and pipe.held[0][0] > now_s:
                    wait_s = pipe.held[0][0] - now_s
                    timeout_s = wait_s if timeout_s is None else min(timeout_s, wait_s)
                if pipe.ended and not pipe.held and not pipe.told and pipe.inlet in self._pipes:
                    self._end(pipe)
            if pipe.held_bytes < held_bytes_max and not pipe.ended:
                masks[pipe.inlet] |= selectors.EVENT_READ
        for sock, mask in masks.items():
            if sock in self._pipes:
                self._watch(sock, mask)
        return timeout_s

    def _watch(self, sock: socket.socket, mask: int) -> None:
        before = self._watched.get(sock, 0)
        if mask == before:
            return
        if not before:
            self._selector.register(sock, mask)
        elif not mask:
            self._selector.unregister(sock)
        else:
            self._selector.modify(sock, mask)
        self._watched[sock] = mask

    def _end(self, pipe: Pipe) -> None:
        """Everything of this direction has arrived: pass its end on, as TCP does."""
        pipe.told = True
        with suppress(OSError):
            pipe.outlet.shutdown(socket.SHUT_WR)
        if self._pipes[pipe.outlet].told:
            self._forget(pipe)

    def _drop(self, pipe: Pipe) -> None:
        """Reset the connection that `pipe` is half of."""
        for sock in (pipe.inlet, pipe.outlet):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._forget(pipe)

    def _forget(self, pipe: Pipe) -> None:
        for sock in (pipe.inlet, pipe.outlet):
            if self._pipes.pop(sock, None) is not None:
                self._watch(sock, 0)
                self._watched.pop(sock, None)
                sock.close()

    def _cut(self, one: str, other: str) -> None:
        for pipe in list(self._pipes.values()):
            if pipe.inlet in self._pipes and set(pipe.direction) == {one, other}:
                self._drop(pipe)
