"""Two nodes' links over loopback, in one loop; and a peer that does not keep to the protocol."""

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from raft.runtime import FrameError, Link, Links
from raft.runtime import links as links_module
from raft.runtime.frames import LONG_BYTES, frame_header
from raft.runtime.handshake import PREFACE, Handshake, Hello
from tests.ports import free_port
from tests.raft.runtime.harness import patience_s, until


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no time for this process for some seconds breaks no connection."""
    for limit in ("DIAL_TIMEOUT_S", "HANDSHAKE_TIMEOUT_S"):
        monkeypatch.setattr(links_module, limit, patience_s)
    monkeypatch.setattr(links_module, "USER_TIMEOUT_MS", 1000 * patience_s)


@dataclass
class Side:
    """One node's links with a lane "test", and what came in."""

    links: Links
    received: list[tuple[int, bytes]] = field(default_factory=list)
    opened: list[Link] = field(default_factory=list)
    closed: list[Link] = field(default_factory=list)
    accept: bool = True

    def on_frame(self, link: Link, payload: bytes) -> None:
        if not self.accept:
            raise FrameError("the test does not like it")
        self.received.append((link.peer, payload))
        if payload.startswith(b"ask"):
            link.send(b"answer" + payload[3:])

    def link(self, peer: int) -> Link:
        link = self.links.link("test", peer)
        assert link is not None
        return link


def side(node_id: int, lane: str = "test", buffer_bytes_max: int = 64 << 20, **changes: Any) -> Side:
    settings: dict[str, Any] = {
        "node_id": node_id,
        "node_name": f"n{node_id}",
        "cluster": "test",
        "incarnation": bytes(16),
        "listen": ("127.0.0.1", 0),
        "peers": {},
        "secret": None,
        "check_peer": lambda peer, incarnation: None,
    }
    made = Side(Links(**settings | changes))
    made.links.lane(
        lane,
        on_frame=made.on_frame,
        on_open=made.opened.append,
        on_close=made.closed.append,
        buffer_bytes_max=buffer_bytes_max,
        frame_bytes_max=32 << 20,
    )
    return made


@asynccontextmanager
async def running(*sides: Side) -> AsyncIterator[None]:
    with trio.fail_after(patience_s):
        for one in sides:
            await one.links.bind()
        for one in sides:
            for other in sides:
                if other is not one:
                    node_id = other.links.node_id
                    one.links.set_peer(node_id, f"n{node_id}", "127.0.0.1", other.links.port)
        async with trio.open_nursery() as nursery:
            for one in sides:
                await nursery.start(one.links.run)
            yield
            nursery.cancel_scope.cancel()


def both_up(one: Side, two: Side) -> Callable[[], bool]:
    return lambda: one.links.connected(two.links.node_id) and two.links.connected(one.links.node_id)


def said(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


async def test_frames_go_both_ways_and_answers_come_back_on_the_same_link() -> None:
    one, two = side(1, secret="s"), side(2, secret="s")
    async with running(one, two):
        await until(both_up(one, two))
        assert one.link(2).send(b"ask 1")
        assert two.link(1).send(b"hello")
        await until(lambda: (2, b"answer 1") in one.received and (2, b"hello") in one.received)
        assert two.received == [(1, b"ask 1")]
        assert one.link(2).dialed
        accepted = one.links.accepted("test", 2)
        assert accepted is not None
        assert not accepted.dialed
        assert {link.dialed for link in one.opened} == {True, False}
    assert one.closed != []
    assert len(one.closed) == len(one.opened)


async def test_long_frames_keep_their_places_among_the_short_ones() -> None:
    one, two = side(1, buffer_bytes_max=8 << 20), side(2)
    frames = [b"a", bytes(LONG_BYTES + 1), b"b", b"c", b"d" * (2 * LONG_BYTES), b"e"]
    async with running(one, two):
        await until(both_up(one, two))
        assert all(map(one.link(2).send, frames))
        assert one.link(2).buffered_bytes > 3 * LONG_BYTES
        await until(lambda: len(two.received) == len(frames))
        assert [payload for _, payload in two.received] == frames
        await until(lambda: one.link(2).buffered_bytes == 0)
        assert one.link(2).send(b"f")
        await until(lambda: two.received[-1] == (1, b"f"))


async def test_a_link_may_be_closed_while_a_long_frame_waits() -> None:
    one, two = side(1, buffer_bytes_max=64 << 20), side(2)
    async with running(one, two):
        await until(both_up(one, two))
        lost = one.link(2)
        assert lost.send(bytes(32 << 20))
        assert lost.send(b"behind it")
        await trio.lowlevel.checkpoint()
        lost.close("the test closes it")
        assert lost.buffered_bytes == 0
        await until(lambda: one.links.link("test", 2) not in (None, lost))
        assert one.link(2).send(b"again")
        await until(lambda: two.received == [(1, b"again")])


async def test_a_lost_connection_is_dialed_again() -> None:
    one, two = side(1), side(2)
    async with running(one, two):
        await until(both_up(one, two))
        lost = one.link(2)
        lost.close("the test closes it")
        assert not lost.send(b"too late")
        await until(lambda: one.links.link("test", 2) not in (None, lost))
        assert one.link(2).send(b"again")
        await until(lambda: (1, b"again") in two.received)
        assert lost in one.closed


async def test_a_peer_that_starts_later_is_found(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    one, two = side(1), side(2, listen=("127.0.0.1", port))
    async with running(one):
        one.links.set_peer(2, "n2", "127.0.0.1", port)
        await until(lambda: said(caplog, "can not be reached") == 1)
        await trio.sleep(0.2)
        assert said(caplog, "can not be reached") == 1, "once, not per attempt"
        async with running(two):
            two.links.set_peer(1, "n1", "127.0.0.1", one.links.port)
            await until(both_up(one, two))


async def test_a_peer_that_dials_is_dialed_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All lanes to a node that comes back come up together: who waited between two attempts waits no longer."""
    monkeypatch.setattr(links_module, "BACKOFF_S", (3600.0, 3600.0))
    port = free_port()
    one, two = side(1), side(2, listen=("127.0.0.1", port))
    async with running(one):
        one.links.set_peer(2, "n2", "127.0.0.1", port)
        await trio.sleep(0.2)
        async with running(two):
            two.links.set_peer(1, "n1", "127.0.0.1", one.links.port)
            await until(both_up(one, two))


async def test_a_receiver_that_does_not_read_costs_its_sender_a_bounded_buffer() -> None:
    one = side(1, buffer_bytes_max=1 << 20)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with running(one), trio.open_nursery() as nursery:
        one.links.set_peer(2, "n2", "127.0.0.1", port)
        stream = await listeners[0].accept()
        await shake_hands(stream, 2)
        await until(lambda: one.links.link("test", 2) is not None)
        link = one.link(2)
        payload = bytes(100_000)
        sent = 0
        while link.send(payload):
            sent += 1
            assert sent < 1000
        assert link.buffered_bytes <= 1 << 20
        assert not link.closed
        # What was taken arrives once the receiver reads, and the link goes on.
        expected = sent * (len(payload) + 8)
        while expected > 0:
            expected -= len(await stream.receive_some(1 << 20))
        await until(lambda: link.buffered_bytes == 0)
        assert link.send(b"more")
        nursery.cancel_scope.cancel()
    await stream.aclose()
    await listeners[0].aclose()


async def shake_hands(stream: trio.SocketStream, node_id: int) -> None:
    """Play the acceptor, without a secret."""
    reader = Reader(stream)
    assert await reader.take(len(PREFACE)) == PREFACE
    shake = Handshake(
        cluster="test",
        node_id=node_id,
        node_name=f"n{node_id}",
        incarnation=bytes(16),
        process=bytes(16),
        secret=None,
        members={1: "n1"},
        check_peer=lambda hello: None,
    )
    hello = shake.read_hello("dialer", await reader.frame())
    await stream.send_all(PREFACE)
    await send_frame(stream, shake.hello("acceptor", hello.lane))
    shake.read_proof("dialer", await reader.frame())
    await send_frame(stream, shake.proof("acceptor"))


class Reader:
    """Exact reads from a stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._data = b""

    async def take(self, count: int) -> bytes:
        while len(self._data) < count:
            data = await self._stream.receive_some()
            assert data, "closed"
            self._data += data
        taken, self._data = self._data[:count], self._data[count:]
        return bytes(taken)

    async def frame(self) -> bytes:
        header = await self.take(8)
        return await self.take(int.from_bytes(header[:4], "big"))


async def send_frame(stream: trio.SocketStream, payload: bytes) -> None:
    await stream.send_all(frame_header(payload) + payload)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cluster": "other"}, "it belongs to cluster 'other', this node to 'test'"),
        ({"secret": "wrong"}, "its cluster secret is not the one of this node"),
        ({"secret": None}, "it has no cluster secret and this node has one"),
        (
            {"node_name": "x"},
            "it calls itself node 2 ('x'), but this node's configuration calls that id 'n2'",
        ),
        ({"node_id": 1}, "which is this node's own id"),
        ({"node_id": 3, "node_name": "n3"}, "node 3 ('n3') is not in this node's configuration"),
        ({"incarnation": b"another one here"}, "its data directory is another one"),
        ({"lane": "other"}, "it asks for a lane that this node does not have: 'other'"),
    ],
)
async def test_who_does_not_belong_is_refused_with_one_clear_sentence(
    changes: dict[str, Any], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = side(
        1,
        secret="right",
        check_peer=lambda peer, incarnation: (
            None if incarnation == bytes(16) else "its data directory is another one"
        ),
    )
    two = side(**{"node_id": 2, "secret": "right"} | changes)
    async with running(one):
        one.links._names[2] = "n2"  # known, but nobody dials it from here
        two.links.set_peer(1 if two.links.node_id != 1 else 9, "n1", "127.0.0.1", one.links.port)
        two.links._listen = ("127.0.0.1", 0)
        async with trio.open_nursery() as nursery:
            await nursery.start(two.links.run)
            await until(lambda: said(caplog, sentence) > 0)
            await until(lambda: said(caplog, "can not work with") > 0)
            await trio.sleep(0.3)
            assert said(caplog, "refused a peer connection from 127.0.0.1") == 1, "not once per attempt"
            assert not one.opened
            assert not two.opened
            nursery.cancel_scope.cancel()


async def test_of_two_processes_of_one_node_the_second_is_refused_while_the_first_is_connected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On copies of one data directory they would vote twice."""
    one, two, twin = side(1), side(2), side(2)
    async with running(one), trio.open_nursery() as nursery:
        one.links._names[2] = "n2"
        for each in (two, twin):
            each.links.set_peer(1, "n1", "127.0.0.1", one.links.port)
        first = trio.CancelScope()

        async def run_first() -> None:
            with first:
                await two.links.run()

        nursery.start_soon(run_first)
        await until(lambda: one.links.accepted("test", 2) is not None)
        link = one.links.accepted("test", 2)
        await nursery.start(twin.links.run)
        await until(lambda: said(caplog, "two run on copies of one data directory") == 2)
        assert one.links.accepted("test", 2) is link
        assert not twin.opened
        first.cancel()
        await until(lambda: bool(twin.opened))
        nursery.cancel_scope.cancel()


def test_a_process_that_has_hung_up_stands_in_nobodys_way_though_nobody_has_read_that_yet() -> None:
    """A node that comes back at once is heard at once."""
    links = side(1).links
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lane = links._lanes["test"]
        links._accepted["test", 2] = Link(lane, 2, b"before", dialed=False, sock=ours)
        hello = Hello("test", 2, "n2", bytes(16), "test", b"", b"now")
        theirs.send(b"unread")
        assert links._refusal_of(hello) is not None
        theirs.close()
        assert links._refusal_of(hello) is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"RDFT\x00\x09\x00\x00", "version 9 of the peer protocol"),
        (b"PING\r\n\r\n", "it does not speak the peer protocol"),
        (PREFACE + b"\xff\xff\xff\xff\x00\x00\x00\x00", "announced a frame of 4294967295 bytes"),
        (PREFACE + frame_header(b"abc") + b"abx", "does not match its checksum"),
        (PREFACE + frame_header(b"\xc1") + b"\xc1", "can not be understood"),
    ],
)
async def test_strangers_are_refused(data: bytes, sentence: str, caplog: pytest.LogCaptureFixture) -> None:
    one = side(1)
    async with running(one):
        stream = await trio.open_tcp_stream("127.0.0.1", one.links.port)
        async with stream:
            await stream.send_all(data)
            while await stream.receive_some():
                pass
        assert said(caplog, sentence) == 1
        assert not one.opened


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\xff\xff\xff\x00\x00\x00\x00", "announced a frame of 4294967295 bytes"),
        (frame_header(b"abc") + b"abx", "does not match its checksum"),
    ],
)
async def test_an_established_link_that_talks_nonsense_is_closed(
    data: bytes, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = side(1)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with running(one):
        one.links.set_peer(2, "n2", "127.0.0.1", listeners[0].socket.getsockname()[1])
        for attempt in range(2):
            async with await listeners[0].accept() as stream:
                await shake_hands(stream, 2)
                await stream.send_all(data)
                await until(lambda attempt=attempt: len(one.closed) == attempt + 1)  # type: ignore[misc]
        assert said(caplog, sentence) >= 1
        assert not one.received
    await listeners[0].aclose()


async def test_a_lane_may_refuse_a_payload_and_the_link_is_closed_and_dialed_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, two = side(1), side(2)
    async with running(one, two):
        await until(both_up(one, two))
        two.accept = False
        lost = one.link(2)
        lost.send(b"?")
        await until(lambda: lost.closed)
        assert said(caplog, "the test does not like it") == 1
        two.accept = True
        await until(lambda: one.links.link("test", 2) not in (None, lost))
        one.link(2).send(b"!")
        await until(lambda: two.received == [(1, b"!")])


async def test_a_peer_that_is_dropped_is_not_dialed_again_and_may_not_come_in() -> None:
    one, two = side(1), side(2)
    async with running(one, two):
        await until(both_up(one, two))
        one.links.drop_peer(2)
        await until(lambda: len(one.closed) == 2)
        assert one.links.link("test", 2) is None
        opened = len(one.opened)
        await trio.sleep(0.3)
        assert len(one.opened) == opened
