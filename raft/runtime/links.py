"""Framed duplex connections between the nodes of a cluster.

Each lane (consensus, snapshots, …) has one TCP connection per ordered pair of nodes: the one that we dialed is ours to
send requests on, the one that they dialed is theirs; both carry frames both ways, so an answer goes back on the link
that the question came by. A large transfer on one lane does not hold up another.

A link (link.py) that ends is dialed again after a jittered exponential pause, or as soon as another lane to or from
that peer has come up: a node that comes back is there for all lanes at once. Why it ended is one sentence in the log; a
refused handshake is logged once per cause, not once per attempt.

While a process of a node is connected, no other one is taken for that node: two that run on copies of one data
directory would vote twice. So a node whose process died in a way that its peers could not hear of has to wait until
they find its connections dead (KEEPALIVE_S).

To add a lane: `links.lane(name, on_frame=…)` on every node before `run`.
"""

import logging
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import trio

from raft.runtime.frames import FRAME_BYTES_LIMIT, FrameError, FrameParser, Payload, frame_header
from raft.runtime.handshake import (
    HELLO_BYTES_MAX,
    PREFACE,
    Handshake,
    Hello,
    Refused,
    check_preface,
    refusal,
)
from raft.runtime.link import USER_TIMEOUT_MS, Lane, Link, Poller

log = logging.getLogger(__name__)

BACKOFF_S = (0.05, 2.0)
DIAL_REST_S = 0.05  # between two attempts in any case, even if the peer has just been heard of
DIAL_TIMEOUT_S = 2.0
HANDSHAKE_TIMEOUT_S = 5.0
HANDSHAKES_MAX = 64  # accepted connections that have not proved anything yet
KEEPALIVE_S = (5, 1, 3)  # idle, interval, probes: the same for a connection with nothing to send
_RECEIVE_BYTES = 256 << 10
_CAUSES_MAX = 256
_PROCESS_BYTES = 16


class Links:
    """All connections of a node: listens, dials every peer once per lane, and keeps it so."""

    def __init__(
        self,
        *,
        node_id: int,
        node_name: str,
        cluster: str,
        incarnation: bytes,
        listen: tuple[str, int],
        peers: Mapping[int, tuple[str, str, int]],
        secret: str | None,
        check_peer: Callable[[int, bytes], str | None],
    ) -> None:
        """`listen`: host and port (0: any; see `port`). `peers`: name, host and port of every other node by id.

        check_peer(id, incarnation) is asked about each peer that has proved itself: a reason to refuse it, or None.
        """
        self.node_id = node_id
        self.poller: Poller | None = None
        """Who reads our connections, instead of a task for each; set before `run`. There is no on_pause then."""
        self.port = listen[1]
        """The port listened on, once `bind` has been called."""
        self._listen = listen
        self._identity = (cluster, node_id, node_name, incarnation)
        self._process = secrets.token_bytes(_PROCESS_BYTES)
        self._secret = secret
        self._check_peer = check_peer
        self._names = {peer: name for peer, (name, _host, _port) in peers.items()}
        self._addresses = {peer: (host, port) for peer, (_name, host, port) in peers.items()}
        self._lanes: dict[str, Lane] = {}
        self._listeners: list[trio.SocketListener] = []
        self._dialed: dict[tuple[str, int], Link] = {}
        self._accepted: dict[tuple[str, int], Link] = {}
        self._dialers: dict[int, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None
        self._handshakes = 0
        self._logged: dict[tuple[str, str], None] = {}
        # One for all links: parsing never waits, so no two links are in the middle of it at once.
        self._receive_buffer = bytearray(_RECEIVE_BYTES)
        self._random = random.Random()
        self._appearances: dict[int, trio.Event] = {}
        """By peer: set when it can be reached (again), for those who wait to dial it."""

    def lane(
        self,
        name: str,
        *,
        on_frame: Callable[[Link, Payload], None],
        on_open: Callable[[Link], None] | None = None,
        on_close: Callable[[Link], None] | None = None,
        on_pause: Callable[[Link], None] | None = None,
        buffer_bytes_max: int = 64 << 20,
        frame_bytes_max: int = 256 << 20,
    ) -> None:
        """Register a kind of traffic, before `run`. The callbacks run on the loop and must not block.

        on_frame may raise FrameError to close the link. on_open and on_close are called in pairs. on_pause is called
        when the frames that arrived together have all been handed over: the place to act on all of them at once.
        """
        assert name not in self._lanes, name
        assert self._nursery is None, "lanes are registered before run"
        assert frame_bytes_max <= FRAME_BYTES_LIMIT
        self._lanes[name] = Lane(
            name, on_frame, on_open, on_close, on_pause, buffer_bytes_max, frame_bytes_max
        )

    def link(self, lane: str, peer: int) -> Link | None:
        """The established link that we dialed, or None."""
        return self._dialed.get((lane, peer))

    def accepted(self, lane: str, peer: int) -> Link | None:
        """The established link that the peer dialed, or None."""
        return self._accepted.get((lane, peer))

    def connected(self, peer: int) -> bool:
        """Every lane to the peer is up, as far as we dial it."""
        return all((name, peer) in self._dialed for name in self._lanes)

    def set_peer(self, peer: int, name: str, host: str, port: int) -> None:
        """Add a peer, or change where it is; takes effect at the next dial."""
        self._names[peer] = name
        self._addresses[peer] = (host, port)
        if self._nursery is not None and peer not in self._dialers:
            self._start_dialers(peer)

    def drop_peer(self, peer: int) -> None:
        """Forget a peer and close its links. Unknown: nothing."""
        self._names.pop(peer, None)
        self._addresses.pop(peer, None)
        if (scope := self._dialers.pop(peer, None)) is not None:
            scope.cancel()
        for (_lane, other), link in [*self._accepted.items()]:
            if other == peer:
                link.close()

    def disconnect(self, peer: int, cause: str) -> None:
        """Close all links with a peer, either way. It is dialed again, and may dial: check_peer has the say."""
        for (_lane, other), link in [*self._dialed.items(), *self._accepted.items()]:
            if other == peer:
                link.close(cause)

    async def bind(self) -> None:
        """Listen, before `run` if the port must be known earlier. Raises OSError."""
        if not self._listeners:
            host, port = self._listen
            self._listeners = await trio.open_tcp_listeners(port, host=host or None)
            self.port = self._listeners[0].socket.getsockname()[1]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and dial until cancelled. Raises OSError when the address can not be listened on."""
        await self.bind()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(partial(trio.serve_listeners, self._accept, self._listeners))
                for peer in self._addresses:
                    self._start_dialers(peer)
                task_status.started()
        finally:
            self._nursery = None
            for listener in self._listeners:
                with trio.CancelScope(shield=True):
                    await listener.aclose()
            self._listeners = []

    # Dialing

    def _start_dialers(self, peer: int) -> None:
        assert self._nursery is not None
        scope = self._dialers[peer] = trio.CancelScope()
        self._nursery.start_soon(self._dial_all, peer, scope)

    async def _dial_all(self, peer: int, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                for lane in self._lanes.values():
                    nursery.start_soon(self._keep_dialed, lane, peer)

    async def _keep_dialed(self, lane: Lane, peer: int) -> None:
        pause_s = BACKOFF_S[0]
        while True:
            appears = self._appearances.setdefault(peer, trio.Event())
            if await self._dial(lane, peer):
                pause_s = BACKOFF_S[0]
            await trio.sleep(DIAL_REST_S * self._random.uniform(0.5, 1.0))
            with trio.move_on_after(pause_s * self._random.uniform(0.5, 1.0)):
                await appears.wait()
                pause_s = BACKOFF_S[0]
            pause_s = min(pause_s * 2, BACKOFF_S[1])

    def _appear(self, peer: int) -> None:
        """A lane to or from `peer` has come up: the others need not wait for their time."""
        appears = self._appearances.pop(peer, None)
        if appears is not None:
            appears.set()

    async def _dial(self, lane: Lane, peer: int) -> bool:
        """One connection from dialing to its end. True if it was established."""
        host, port = self._addresses[peer]
        where = f"node {peer} ({self._names[peer]!r}) at {host}:{port}"
        sock: socket.socket | None = None
        try:
            with trio.fail_after(DIAL_TIMEOUT_S):
                stream = await trio.open_tcp_stream(host, port)
            sock = _take(stream)
            parser = FrameParser(HELLO_BYTES_MAX)
            shake = self._handshake()
            with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                await _send_all(sock, PREFACE)
                await _send_frame(sock, shake.hello("dialer", lane.name))
                talk = _Talk(sock, parser)
                check_preface(await talk.preface())
                shake.read_hello("acceptor", await talk.frame())
                await _send_frame(sock, shake.proof("dialer"))
                shake.read_proof("acceptor", await talk.frame())
                shake.check_identity(peer)
        except (Refused, FrameError) as error:
            self._log_once(logging.ERROR, where, f"can not work with {where}: {error}")
        except trio.TooSlowError:
            self._log_once(logging.WARNING, where, f"{where} does not answer; trying again and again")
        except OSError as error:
            reason = _first_cause(error)
            self._log_once(
                logging.WARNING, where, f"{where} can not be reached ({reason}); trying again and again"
            )
        else:
            assert shake.peer is not None
            self._appear(peer)
            await self._serve(Link(lane, peer, shake.peer.process, dialed=True, sock=sock), parser, where)
            return True
        finally:
            if sock is not None:
                sock.close()
        return False

    # Accepting

    async def _accept(self, stream: trio.SocketStream) -> None:
        sock = _take(stream)
        where = "an unknown address"
        try:
            where = str(sock.getpeername()[0])
            if self._handshakes >= HANDSHAKES_MAX:
                raise Refused(f"{HANDSHAKES_MAX} others are shaking hands already")
            self._handshakes += 1
            try:
                with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                    hello, parser = await self._welcome(sock)
            finally:
                self._handshakes -= 1
        except (Refused, FrameError) as error:
            self._log_once(logging.ERROR, where, f"refused a peer connection from {where}: {error}")
        except (trio.TooSlowError, OSError) as error:
            log.info("a peer connection from %s ended in its handshake: %s", where, error or "too slow")
        else:
            lane, peer = self._lanes[hello.lane], hello.node_id
            self._appear(peer)
            link = Link(lane, peer, hello.process, dialed=False, sock=sock)
            if (older := self._accepted.get((lane.name, peer))) is not None:
                older.close("the peer has dialed anew")
            await self._serve(link, parser, f"node {peer} ({self._names.get(peer, '')!r})")
        finally:
            sock.close()

    async def _welcome(self, sock: socket.socket) -> tuple[Hello, FrameParser]:
        parser = FrameParser(HELLO_BYTES_MAX)
        talk = _Talk(sock, parser)
        preface = await talk.preface()
        await _send_all(sock, PREFACE)  # in any case: a node of another version then knows why
        check_preface(preface)
        shake = self._handshake()
        try:
            hello = shake.read_hello("dialer", await talk.frame())
            await _send_frame(sock, shake.hello("acceptor", hello.lane))
            shake.read_proof("dialer", await talk.frame())
            shake.check_identity(None)
            if hello.lane not in self._lanes:
                raise Refused(f"it asks for a lane that this node does not have: {hello.lane!r}")
            await _send_frame(sock, shake.proof("acceptor"))
        except Refused as error:
            with suppress(OSError):
                await _send_frame(sock, refusal(str(error)))
            raise
        return hello, parser

    # Both

    def _handshake(self) -> Handshake:
        cluster, node_id, node_name, incarnation = self._identity
        return Handshake(
            cluster=cluster,
            node_id=node_id,
            node_name=node_name,
            incarnation=incarnation,
            process=self._process,
            secret=self._secret,
            members=self._names,
            check_peer=self._refusal_of,
        )

    def _refusal_of(self, hello: Hello) -> str | None:
        """A reason to refuse a peer that has proved itself, or None."""
        peer = hello.node_id
        reason = self._check_peer(peer, hello.incarnation)
        if reason is None and self._is_connected_as_another(peer, hello.process):
            reason = (
                f"node {peer} ({hello.node_name!r}) is connected as another process: if that still runs, two run on"
                " copies of one data directory, and one of them has to be stopped"
            )
        return reason

    def _is_connected_as_another(self, peer: int, process: bytes) -> bool:
        """Whether there is a link with another process of the peer."""
        links = (*self._dialed.values(), *self._accepted.values())
        return any(link.peer == peer and link.process != process and not link.hung_up for link in links)

    async def _serve(self, link: Link, parser: FrameParser, where: str) -> None:
        table = self._dialed if link.dialed else self._accepted
        key = (link.lane.name, link.peer)
        if self._is_connected_as_another(link.peer, link.process):
            return  # it came in while we shook hands
        parser.frame_bytes_max = link.lane.frame_bytes_max
        table[key] = link
        for seen in [seen for seen in self._logged if seen[0] == where]:
            del self._logged[seen]
        try:
            if link.lane.on_open is not None:
                link.lane.on_open(link)
            cause = await link.run(parser, self._receive_buffer, self.poller)
            if cause:
                log.warning("closed the %s link with %s: %s", link.lane.name, where, cause)
        finally:
            link.close()
            if table.get(key) is link:
                del table[key]
            if link.lane.on_close is not None:
                link.lane.on_close(link)

    def _log_once(self, level: int, where: str, sentence: str) -> None:
        if (where, sentence) in self._logged:
            return
        if len(self._logged) >= _CAUSES_MAX:
            self._logged.clear()
        self._logged[where, sentence] = None
        log.log(level, "%s", sentence)


class _Talk:
    """Reads the preface and the frames of a handshake, and not a byte more."""

    def __init__(self, sock: socket.socket, parser: FrameParser) -> None:
        self._sock = sock
        self._parser = parser

    async def preface(self) -> bytes:
        data = b""
        while len(data) < len(PREFACE):
            data += await self._receive(len(PREFACE) - len(data))
        return data

    async def frame(self) -> Payload:
        # Never reads further than this frame: what follows the handshake belongs to the lane.
        while True:
            payloads = self._parser.feed(await self._receive(self._parser.missing_bytes))
            if payloads:
                return payloads[0]

    async def _receive(self, bytes_max: int) -> bytes:
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                data = self._sock.recv(bytes_max)
            except BlockingIOError:
                continue
            if not data:
                raise Refused("it closed the connection during the handshake")
            return data


def _first_cause(error: OSError) -> BaseException:
    """trio wraps what each address of a host said; one of them is enough for a sentence."""
    cause = error.__cause__
    return cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else error


async def _send_all(sock: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    while view:
        await trio.lowlevel.wait_writable(sock)
        with suppress(BlockingIOError):
            sent_bytes = sock.send(view)
            view = view[sent_bytes:]


async def _send_frame(sock: socket.socket, payload: bytes) -> None:
    await _send_all(sock, frame_header(payload) + payload)


def _take(stream: trio.SocketStream) -> socket.socket:
    """The stream's socket as a plain non-blocking one, tuned."""
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle_s, interval_s, probes = KEEPALIVE_S
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    return sock
