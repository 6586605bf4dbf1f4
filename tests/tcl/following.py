"""A client of a redirecting cluster that follows MOVED, as a proxy: the suite's own client does not.

    with following(server.ports) as port: ...

Each connection to the proxy is one to each node, the first of which is its *home*. It does one request after the other,
but for plain ones that have come together, and remembers which node led a slot. What makes a connection what it is
(HELLO, AUTH, its name, tracking) is repeated on all of them; a transaction is on the node of its keys. A connection
that listens (SUBSCRIBE, MONITOR) or does without replies speaks to its home alone from then on.

What a client has read is remembered by the node where it has, and told by that node when it changes: so it tracks on
all of them, redirects to the same client's connection there, and listens for invalid keys on all. With BCAST every node
tells of all keys, so that home alone does; and all of them tell when all keys are gone.

What comes first, from whichever client, goes on first: the suite has clients ask without waiting for the reply, and
expects that to be done before what the next one asks. So all of them run in one thread (`Loop`).

What such a client library or its user would do as well: CLIENT UNBLOCK goes to the node where that client waits, CONFIG
SET, RESETSTAT and DEBUG SET-ACTIVE-EXPIRE to all, what TRYAGAIN answers is sent again, and of a few counters INFO tells
the sum.
"""

import re
import select
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from greenlet import getcurrent, greenlet

from server.commands import all as all_commands
from server.commands.table import SHARD, lookup
from server.dispatch import transactions
from server.errors import CommandError
from server.keyspace.slots import key_slot

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 16
ARGUMENTS_MAX = 1 << 20
ARGUMENT_BYTES_MAX = 1 << 29
"""What is longer is the server's to refuse."""
MOVED = re.compile(rb"-MOVED (\d+) [^:]+:(\d+)\r\n")
TRIES_MAX = 16
PIPELINE_MAX = 1000
TRY_AGAIN_S = 0.05
GOODBYE_S = 1
LINE = re.compile(rb"^(\w+):([^\r\n]*)\r", re.MULTILINE)
SUMMED = re.compile(
    rb"blocked_clients|expired_keys|rdb_changes_since_last_save|tracking_total_(keys|items)|cmdstat_\w+"
)
SUBSCRIBING = {b"subscribe", b"psubscribe", b"ssubscribe"}
LISTENING = {*SUBSCRIBING, b"unsubscribe", b"punsubscribe", b"sunsubscribe"}
INVALIDATE = b"__redis__:invalidate"
NEWS = re.compile(
    rb">2\r\n\$(10\r\ninvalidate\r\n\*|21\r\ntracking-redir-broken)"
    rb"|\*3\r\n\$7\r\nmessage\r\n\$20\r\n__redis__:invalidate\r\n\*[^-]"
)
"""What may come from any node, unlike the news that all keys are gone, which come from home as well."""
REPEATED = {b"hello", b"auth", b"client|setname", b"client|tracking", b"client|no-touch"}
TO_ALL = {b"config|set", b"config|resetstat", b"config|rewrite"}

assert all_commands.loaded
assert transactions.multi


class Gone(Exception):
    """One side closed the connection."""


def _line(data: bytes | bytearray, at: int) -> int:
    """Where the line at `at` ends; raises IndexError when it has not come whole."""
    end = data.find(b"\n", at)
    if end < 0:
        if len(data) - at > LINE_BYTES_MAX:
            raise ValueError
        raise IndexError
    return end + 1


def reply_end(data: bytes | bytearray, at: int = 0) -> int:
    """Where the reply at `at` ends; raises IndexError when it has not come whole."""
    missing = 1
    while missing:
        mark = data[at]
        end = _line(data, at)
        missing -= 1
        if mark in b"$=!":
            size = int(data[at + 1 : end - 2])
            end += size + 2 if size >= 0 else 0
            if end > len(data):
                raise IndexError
        elif mark in b"*~>":
            missing += max(int(data[at + 1 : end - 2]), 0)
        elif mark in b"%|":
            missing += 2 * int(data[at + 1 : end - 2]) + (mark == ord("|"))
        at = end
    return at


def read_request(data: bytes | bytearray) -> tuple[list[bytes], int]:
    """The first request and where it ends; raises IndexError when it has not come whole, ValueError when it is none."""
    end = _line(data, 0)
    if data[0] != ord("*"):
        return bytes(data[:end]).split(), end
    args: list[bytes] = []
    count = int(data[1:end])
    if count > ARGUMENTS_MAX:
        raise ValueError
    for _ in range(count):
        at, end = end, _line(data, end)
        if data[at] != ord("$"):
            raise ValueError
        size = int(data[at + 1 : end])
        if not 0 <= size <= ARGUMENT_BYTES_MAX:
            raise ValueError
        if end + size + 2 > len(data):
            raise IndexError
        args.append(bytes(data[end : end + size]))
        end += size + 2
    return args, end


def encode(*words: bytes) -> bytes:
    """A request."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _added(first: bytes, second: bytes) -> bytes:
    """The sums of the numbers in two values of INFO that look alike; an empty one is nothing."""
    if not first or not second:
        return first or second
    numbers = iter(re.findall(rb"\d+", second))
    return re.sub(rb"\d+", lambda found: b"%d" % (int(found[0]) + int(next(numbers))), first)


class Loop:
    """Runs greenlets that wait for sockets, in the order in which those get ready. Made in the thread that runs it.

    The system tells each event once (EPOLLET), or it would put those that it has just told before what came meanwhile.
    """

    def __init__(self) -> None:
        self._main = getcurrent()
        self._epoll = select.epoll()
        self._known: set[int] = set()
        """To the system."""
        self._waiting: dict[int, greenlet] = {}
        """By the socket."""
        self._ready: set[int] = set()
        """What nobody waited for when it got ready, or has more than was taken."""
        self._deadlines_s: dict[greenlet, float] = {}
        self._new: deque[Callable[[], None]] = deque()
        self._closing: list[socket.socket] = []
        """At the end of the round: another one would get the number, of which this round may speak."""

    def start(self, work: Callable[[], None]) -> None:
        """Run it soon, until it waits for something."""
        self._new.append(work)

    def run(self) -> None:
        """Until nothing waits any more."""
        with self._epoll:
            while self._new or self._waiting or self._deadlines_s:
                while self._new:
                    self._switch(greenlet(self._new.popleft(), self._main))
                ends_s = min(self._deadlines_s.values(), default=None)
                left_s = None if ends_s is None else max(ends_s - time.monotonic(), 0)
                for number, _ in self._epoll.poll(left_s):
                    if number in self._waiting:
                        self._switch(self._waiting[number], number)
                    else:
                        self._ready.add(number)
                now_s = time.monotonic()
                for late in [each for each, at_s in self._deadlines_s.items() if at_s <= now_s]:
                    self._switch(late, -1)
                self._close()

    def wait(self, sockets: Iterable[socket.socket], timeout_s: float | None = None) -> socket.socket | None:
        """The first from which something may have come, or that may take more; None when that takes too long."""
        me = getcurrent()
        by_number = {each.fileno(): each for each in sockets}
        for number in by_number:
            if number in self._ready:
                self._ready.remove(number)
                return by_number[number]
        for number in by_number:
            if number not in self._known:
                self._known.add(number)
                self._epoll.register(number, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
            self._waiting[number] = me
        if timeout_s is not None:
            self._deadlines_s[me] = time.monotonic() + timeout_s
        ready: int = self._main.switch()
        for number in by_number:
            del self._waiting[number]
        self._deadlines_s.pop(me, None)
        return by_number.get(ready)

    def receive(self, source: socket.socket, into: bytearray) -> None:
        """What has come; raises Gone when nothing has, and nothing will."""
        came = 0
        with suppress(BlockingIOError):
            while came < CHUNK_BYTES and (chunk := source.recv(CHUNK_BYTES, socket.MSG_DONTWAIT)):
                into += chunk
                came += len(chunk)
            if not came:
                raise Gone
            self._ready.add(source.fileno())

    def close(self, *sockets: socket.socket) -> None:
        """The other sides see it at once."""
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._closing += sockets

    def _close(self) -> None:
        for each in self._closing:
            self._known.discard(each.fileno())
            self._ready.discard(each.fileno())
            each.close()  # which unregisters it
        self._closing.clear()

    def _switch(self, to: greenlet, *ready: int) -> None:
        try:
            to.switch(*ready)
        except Exception:
            traceback.print_exc()  # the others go on


class Link:
    """A connection to a node."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()

    def take(self) -> bytes | None:
        """The next reply or push that has come, if one has."""
        try:
            end = reply_end(self.input)
        except IndexError:
            return None
        reply = bytes(self.input[:end])
        del self.input[:end]
        return reply

    def ask(self, loop: Loop, *words: bytes) -> bytes:
        """Ask, and wait for the reply. Not for a link on which anything else may come."""
        self.socket.sendall(encode(*words))
        while (reply := self.take()) is None:
            loop.wait([self.socket])
            loop.receive(self.socket, self.input)
        return reply


class Shared:
    """What the clients of one proxy know together."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = ports
        """Of the nodes; the first is home."""
        self.slots: dict[int, int] = {}
        """Slot to the port of the node that leads it, as far as known to anybody."""
        self.by_id: dict[bytes, Client] = {}
        """By the id at home."""


class Client:
    """One connection to the proxy."""

    def __init__(self, client: socket.socket, shared: Shared, loop: Loop) -> None:
        self.client = client
        self.loop = loop
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.shared = shared
        self.ports = shared.ports
        self.input = bytearray()
        self.links: dict[int, Link] = {}
        self.ids: dict[int, bytes] = {}
        """Of the links."""
        self.repeated: dict[bytes, list[bytes]] = {}
        self.asked: set[Link] = set()
        """Where the requests are that run."""
        self.transaction: Link | None = None
        """Where the keys are that are watched, or MULTI is."""
        self.queue: list[bytes] | None = None
        """What was queued since MULTI."""
        self.caching = b""
        """CLIENT CACHING, when it was the last request; it is for the next one, wherever that goes."""
        self.protocol = 2
        self.home: Link
        """Set by `_connect`, as what follows from it."""
        self.id = b""

    def run(self) -> None:
        """Until one side closes."""
        try:
            self._connect()
            while True:
                self._handle_next()
        except (Gone, OSError):
            pass
        finally:
            self.shared.by_id.pop(self.id, None)
            self.loop.close(self.client, *(link.socket for link in self.links.values()))

    def _connect(self) -> None:
        for port in self.ports:
            self._link(port)
        self.home = self.links[self.ports[0]]
        self.id = self.ids[self.ports[0]]
        self.shared.by_id[self.id] = self

    # -- the wire --------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Until something has come from anywhere; what nobody asked for is passed on."""
        links = {link.socket: link for link in self.links.values()}
        ready = self.loop.wait([self.client, *links])
        if ready is None or ready is self.client:
            self.loop.receive(self.client, self.input)
            return
        link = links[ready]
        try:
            self.loop.receive(link.socket, link.input)
        except Gone:
            if link is self.home or link in self.asked:
                self._say(link.input)
                raise
            del self.links[link.port]
            self.loop.close(link.socket)
            return
        if link not in self.asked:
            self._pass_on(link)

    def _send(self, to: socket.socket, data: bytes | bytearray, into: bytearray) -> None:
        """Send, and take what the other side sends meanwhile: it may read nothing before it has sent all."""
        left = memoryview(bytes(data))
        while left:
            try:
                left = left[to.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self.loop.wait([to])
                self.loop.receive(to, into)

    def _say(self, data: bytes | bytearray) -> None:
        self._send(self.client, data, self.input)

    def _tell(self, link: Link, raw: bytes | bytearray) -> None:
        self._send(link.socket, raw, link.input)

    def _pass_on(self, link: Link) -> None:
        while (reply := link.take()) is not None:
            if link is self.home or NEWS.match(reply):
                self._say(reply)

    def _next_request(self) -> tuple[bytes, list[bytes]]:
        """As it came, and its arguments."""
        while True:
            try:
                return self._take_request()
            except IndexError:
                self._wait()
            except ValueError:
                self._relay()

    def _take_request(self) -> tuple[bytes, list[bytes]]:
        """The next that has come; raises as read_request."""
        args, end = read_request(self.input)
        raw = bytes(self.input[:end])
        del self.input[:end]
        return raw, args

    def _relay(self) -> NoReturn:
        """From now on there is only the home."""
        while True:
            request, self.input = self.input, bytearray()
            self._tell(self.home, request)
            reply, self.home.input = self.home.input, bytearray()
            self._say(reply)
            if self.loop.wait([self.client, self.home.socket]) is self.client:
                self.loop.receive(self.client, self.input)
            else:
                self.loop.receive(self.home.socket, self.home.input)

    def _ask(self, link: Link, raw: bytes) -> bytes:
        self.asked = {link}
        self._tell(link, raw)
        reply = self._reply(link)
        self.asked = set()
        return reply

    def _reply(self, link: Link) -> bytes:
        """The next reply; pushes before it are passed on."""
        while True:
            reply = link.take()
            if reply is None:
                self._wait()
            elif reply[:1] == b">":
                if link is self.home or NEWS.match(reply):
                    self._say(reply)
            else:
                return reply

    def _link(self, port: int) -> Link:
        link = self.links.get(port)
        if link is None:
            link = self.links[port] = Link(port)
            self.ids[port] = link.ask(self.loop, b"CLIENT", b"ID")[1:-2]
            for args in self.repeated.values():
                self._ask(link, self._worded(args, port))
        return link

    def _others(self) -> list[Link]:
        return [link for link in self.links.values() if link is not self.home]

    def _worded(self, args: list[bytes], port: int) -> bytes:
        """What is repeated, as it has to be said to the node at `port`."""
        words = [word.lower() for word in args]
        if words[1:2] == [b"tracking"] and b"bcast" in words:
            return encode(*args[:2], b"OFF")
        if words[1:2] == [b"tracking"] and b"redirect" in words[:-1]:
            at = words.index(b"redirect") + 1
            other = self.shared.by_id.get(args[at])
            if other is not None:
                return encode(*args[:at], other.ids[port], *args[at + 1 :])
        return encode(*args)

    # -- requests --------------------------------------------------------------------------------------------

    def _handle_next(self) -> None:
        """A request, or several plain ones."""
        request: tuple[bytes, list[bytes]] | None = self._next_request()
        several = []
        while request is not None and self._is_plain(request[1]) and len(several) < PIPELINE_MAX:
            several.append(request)
            try:
                request = self._take_request()
            except (IndexError, ValueError):
                request = None
        if len(several) > 1:
            self._handle_several(several)
        elif several:
            self._handle(*several[0])
        if request is not None:
            self._handle(*request)

    def _is_plain(self, args: list[bytes]) -> bool:
        """It goes to its key's node, and needs nothing but what was set up there."""
        row = lookup(args) if args else None
        if row is None or row.where is not SHARD or row.blocks:
            return False
        return self.queue is None and self.transaction is None and not self.caching

    def _handle_several(self, requests: list[tuple[bytes, list[bytes]]]) -> None:
        """Plain ones, all at once; what was at the wrong node then follows."""
        links = [self._guess(args) for _, args in requests]
        self.asked = set(links)
        for link in self.asked:
            raws = [raw for (raw, _), other in zip(requests, links, strict=True) if other is link]
            self._tell(link, b"".join(raws))
        replies = [self._reply(link) for link in links]
        self.asked = set()
        for request, reply in zip(requests, replies, strict=True):
            again = reply.startswith((b"-MOVED ", b"-TRYAGAIN "))
            self._say(self._follow(*request) if again else reply)
        for link in list(self.links.values()):
            self._pass_on(link)

    def _handle(self, raw: bytes, args: list[bytes]) -> None:
        row = lookup(args) if args else None
        name = row.name.encode() if row is not None else b""
        if not args or (name in LISTENING and self.protocol == 3 and self.queue is None):
            self._tell(self.home, raw)  # who knows how many replies that makes
            return
        if name in (b"monitor", b"client|reply") or (name in SUBSCRIBING and self.queue is None):
            self.input[:0] = raw
            self._listen()
        if name in LISTENING:  # it listens to nothing
            self._say(self._ask(self.home, raw))
            for _ in args[2:]:
                self._say(self._ask(self.home, b""))
            return
        if name == b"client|unblock":
            reply = self._unblock(raw, args)
        elif self.queue is not None:
            reply = self._in_transaction(raw, args, name)
        elif name == b"multi":
            self.transaction = self.transaction or self.home
            reply = self._ask(self.transaction, raw)
            self.queue = [] if reply[:1] == b"+" else None
        elif name in (b"watch", b"unwatch"):
            if name == b"watch" or self.transaction is None:
                self.transaction = self.transaction or self._guess(args)
            reply = self._ask(self.transaction, raw)
            if name == b"unwatch":
                self.transaction = None
        else:
            reply = self._follow(raw, args)
        if reply[:1] != b"-" and reply != b"+QUEUED\r\n":
            self._note(raw, args, name)
            if name == b"info":
                reply = self._sum(reply, raw)
        self._say(reply)
        for link in list(self.links.values()):
            self._pass_on(link)  # what came right behind it
        if name == b"quit":
            self.client.shutdown(socket.SHUT_WR)
            # What it has sent behind is read, or it would reset the connection, and the reply were not seen.
            while self.loop.wait([self.client], GOODBYE_S) is not None:
                self.loop.receive(self.client, self.input)
            raise Gone

    def _listen(self) -> NoReturn:
        """From now on whatever is asked is asked at home, and goes on before it is answered."""
        while True:
            raw, args = self._next_request()
            self._tell(self.home, raw)
            self._pass_on(self.home)  # what had to be taken meanwhile
            row = lookup(args) if args else None
            name = row.name.encode() if row is not None else b""
            if name in REPEATED or name == b"client|reply" or (name in LISTENING and INVALIDATE in args):
                for link in self._others():
                    self._tell(link, self._worded(args, link.port))

    def _slot(self, args: list[bytes]) -> int | None:
        """The slot of the first key; None when there is no need to look for a node."""
        row = lookup(args)
        if row is None or (row.where is not SHARD and row.name != "watch"):
            return None
        with suppress(CommandError, IndexError, ValueError):
            for at in row.keys.indexes(args):
                return key_slot(args[at])
        return 0

    def _guess(self, args: list[bytes]) -> Link:
        slot = self._slot(args)
        return self.home if slot is None else self._link(self.shared.slots.get(slot, self.home.port))

    def _follow(self, raw: bytes, args: list[bytes]) -> bytes:
        link = self._guess(args)
        caching, self.caching = self.caching, b""
        for _ in range(TRIES_MAX):
            if caching and link is not self.home:
                self._ask(link, caching)
            reply = self._ask(link, raw)
            if reply.startswith(b"-TRYAGAIN "):
                self.loop.wait([], TRY_AGAIN_S)
                continue
            moved = MOVED.match(reply)
            if moved is None:
                break
            self.shared.slots[int(moved[1])] = int(moved[2])
            link = self._link(int(moved[2]))
        if caching and link is not self.home:
            self._ask(self.home, encode(b"PING"))  # it was told for nothing
        return reply

    def _in_transaction(self, raw: bytes, args: list[bytes], name: bytes) -> bytes:
        assert self.transaction is not None
        assert self.queue is not None
        reply = self._ask(self.transaction, raw)
        moved = MOVED.match(reply)
        if name in (b"exec", b"discard", b"reset"):
            self.transaction = self.queue = None
        elif moved is not None and self.transaction.port != int(moved[2]):
            self.shared.slots[int(moved[1])] = int(moved[2])
            self._ask(self.transaction, encode(b"DISCARD"))
            self.transaction = self._link(int(moved[2]))
            self._ask(self.transaction, encode(b"MULTI"))
            for queued in self.queue:
                self._ask(self.transaction, queued)
            reply = self._ask(self.transaction, raw)
        if self.queue is not None:
            self.queue.append(raw)
        return reply

    def _note(self, raw: bytes, args: list[bytes], name: bytes) -> None:
        """What the other connections have to be told of what was done at home."""
        if name == b"reset":
            for link in self._others():
                self._ask(link, raw)
            self.repeated.clear()
            self.protocol = 2
        elif name == b"client|caching":
            self.caching = raw
        elif name in REPEATED:
            if name == b"hello" and len(args) > 1:
                self.protocol = int(args[1])
            self.repeated[name] = args
            for link in self._others():
                self._ask(link, self._worded(args, link.port))
        elif name in TO_ALL or (name == b"debug" and args[1].lower() == b"set-active-expire"):
            for port in self.ports[1:]:
                self._ask(self._link(port), raw)

    def _unblock(self, raw: bytes, args: list[bytes]) -> bytes:
        other = self.shared.by_id.get(args[2]) if len(args) > 2 else None
        link = next(iter(other.asked), None) if other is not None else None
        if other is None or link is None or link is other.home:
            return self._ask(self.home, raw)
        return self._ask(self._link(link.port), encode(*args[:2], other.ids[link.port], *args[3:]))

    def _sum(self, reply: bytes, raw: bytes) -> bytes:
        head, _, body = reply.partition(b"\r\n")
        lines = dict(LINE.findall(body))
        for port in self.ports[1:]:
            for name, value in LINE.findall(self._ask(self._link(port), raw)):
                if SUMMED.fullmatch(name):
                    lines[name] = _added(lines.get(name, b""), value)
        body = LINE.sub(lambda found: b"%b:%b\r" % (found[1], lines.pop(found[1])), body)
        missing = [b"%b:%b\r\n" % line for line in lines.items()]  # at others, but not here
        body = body[:-2] + b"".join(missing) + b"\r\n"
        return head[:1] + b"%d\r\n" % (len(body) - 2) + body


@contextmanager
def following(ports: Sequence[int]) -> Iterator[int]:
    """The proxy before a cluster whose nodes' ports these are; gives its own."""
    shared = Shared(ports)
    listener = socket.create_server((HOST, 0), backlog=512)

    def run() -> None:
        loop = Loop()

        def accept() -> None:
            listener.setblocking(False)
            with suppress(OSError):
                while True:
                    loop.wait([listener])
                    with suppress(BlockingIOError):
                        while True:
                            loop.start(Client(listener.accept()[0], shared, loop).run)
            loop.close(listener)

        loop.start(accept)
        loop.run()

    threading.Thread(target=run, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
