"""A leader is killed with kill -9, and the clients of the other nodes get no error: every write is done once, whether
its reply was lost with the leader or it never got there; who waits for a key waits on at the new leader.
"""

import threading
import time
from collections.abc import Iterator

import hiredis
import pytest

from tests.processes.client import Client
from tests.processes.crew import together
from tests.processes.harness import STEADY, Cluster, Server, eventually, patience_s

WRITES = 400
KILL_AT = WRITES // 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("receipts"), groups=1, raft=STEADY) as cluster:
        yield cluster


@pytest.fixture
def victim(cluster: Cluster) -> Iterator[Server]:
    """The leader, which lives again after the test."""
    with cluster.logs_on_failure():
        cluster.wait_ready()
        leader = cluster.leader(1)
        yield leader
        if not leader.running:
            leader.start()


def ask(client: Client, *args: str | int) -> object:
    reply = client.call(*args)
    assert not isinstance(reply, hiredis.ReplyError), f"{args}: {reply}"
    return reply


def test_every_write_is_done_once_and_answered(cluster: Cluster, victim: Server) -> None:
    """INCR tells: what is lost or done twice leaves a gap or a double among the replies."""
    replies: list[object] = []
    done = threading.Event()

    def count(server: Server) -> None:
        with server.client() as client:
            for number in range(WRITES):
                replies.append(ask(client, "INCR", "total"))
                if number == KILL_AT:
                    done.set()
                if number % 10 == 0:
                    ask(client, "RPUSH", "log", number)

    def kill() -> None:
        assert done.wait(patience_s)
        victim.kill()

    cluster.servers[0].call("DEL", "total", "log")
    together(kill, *(lambda server=server: count(server) for server in cluster.others(victim) * 3))
    assert sorted(replies) == list(range(1, 6 * WRITES + 1))


def test_pipelines_and_transactions(cluster: Cluster, victim: Server) -> None:
    started = threading.Event()
    replies: list[object] = []

    def write(server: Server) -> None:
        with server.client() as client:
            for number in range(WRITES // 4):
                found = client.pipeline(
                    *(("multi",), ("incr", "a"), ("incr", "b"), ("exec",)),
                    *(("incr", f"own{id(client)}") for _ in range(5)),
                )
                a, b = found[3]
                assert a == b
                assert found[4:] == list(range(5 * number + 1, 5 * number + 6)), "in order"
                replies.append(a)
                if number == KILL_AT // 4:
                    started.set()

    def kill() -> None:
        assert started.wait(patience_s)
        victim.kill()

    cluster.servers[0].call("FLUSHALL")
    together(kill, *(lambda server=server: write(server) for server in cluster.others(victim) * 2))
    assert sorted(replies) == list(range(1, WRITES + 1))


def test_connections_to_the_leader_that_break_are_not_noticed_by_who_writes(
    cluster: Cluster, victim: Server
) -> None:
    cluster.servers[0].call("FLUSHALL")
    asked = cluster.others(victim)[0]
    with asked.client() as client:
        for number in range(10):
            client.send(*[("incr", "a")] * 100)
            cluster.network.cut(asked.name, victim.name)
            replies = [client.receive() for _ in range(100)]
            assert replies == list(range(100 * number + 1, 100 * number + 101))


def test_what_is_popped_is_popped_once_and_by_somebody(cluster: Cluster, victim: Server) -> None:
    popped: list[object] = []
    started = threading.Event()

    def push(server: Server) -> None:
        with server.client() as client:
            for number in range(WRITES):
                ask(client, "RPUSH", "queue", number)
                if number == KILL_AT:
                    started.set()
            for _ in range(4):
                ask(client, "RPUSH", "queue", "end")

    def pop(server: Server) -> None:
        with server.client() as client:
            while (item := ask(client, "BLPOP", "queue", 0)[1]) != b"end":  # type: ignore[index]
                popped.append(int(item))

    def kill() -> None:
        assert started.wait(patience_s)
        victim.kill()

    cluster.servers[0].call("DEL", "queue")
    first, second = cluster.others(victim)
    together(
        kill, lambda: push(first), *(lambda server=server: pop(server) for server in [first, second] * 2)
    )
    assert sorted(popped) == list(range(WRITES))  # type: ignore[type-var]


def test_who_waits_goes_on_for_what_is_left_of_its_time(cluster: Cluster, victim: Server) -> None:
    first, second = cluster.others(victim)
    cluster.servers[0].call("FLUSHALL")
    with (
        first.client() as popper,
        second.client() as reader,
        second.client() as timed,
    ):
        popper.send(("BLPOP", "list", 0))
        reader.send(("XREAD", "BLOCK", 0, "STREAMS", "stream", "$"))
        start_s = time.monotonic()
        timed.send(("BLPOP", "nosuch", 8))
        for server, count in ((first, 1), (second, 2)):
            eventually(lambda s=server, c=count: s.info("clients")["blocked_clients"] == str(c), "they wait")
        victim.kill()
        assert second.call("RPUSH", "list", "x") == 1
        assert popper.receive() == [b"list", b"x"]
        first.call("XADD", "stream", "1-1", "field", "value")
        assert reader.receive() == [[b"stream", [[b"1-1", [b"field", b"value"]]]]]
        assert timed.receive() is None
        assert time.monotonic() > start_s + 7.9, "not before it is over"


def test_a_hand_over_is_not_noticed_by_who_waits(cluster: Cluster, victim: Server) -> None:
    """A clean stop; those who wait at the node that stops are told that there is nothing, as their time were over."""
    first, second = cluster.others(victim)
    cluster.servers[0].call("FLUSHALL")
    with first.client() as popper, victim.client() as there:
        popper.send(("BLPOP", "list", 0))
        there.send(("BLPOP", "list", 0))
        for server in (first, victim):
            eventually(lambda s=server: s.info("clients")["blocked_clients"] == "1", "they wait")
        assert victim.stop() == 0
        assert there.receive() is None
        assert second.call("RPUSH", "list", "x") == 1
        assert popper.receive() == [b"list", b"x"]


def test_a_watched_key_that_was_not_there_holds_when_the_leader_is_killed(
    cluster: Cluster, victim: Server
) -> None:
    """As it was changed, or was not; a leader that has just become one knows of the deletions before its time."""
    first, second = cluster.others(victim)
    cluster.servers[0].call("FLUSHALL")
    with first.client() as same, second.client() as changed:
        assert ask(same, "WATCH", "same") == ask(changed, "WATCH", "changed") == b"OK"
        first.call("SET", "changed", "v")
        first.call("DEL", "changed", "other")
        victim.kill()
        assert same.pipeline(("MULTI",), ("SET", "same", "v"), ("EXEC",))[-1] == [b"OK"]
        assert changed.pipeline(("MULTI",), ("SET", "changed", "v"), ("EXEC",))[-1] is None


def test_what_the_client_wrote_later_is_not_seen_by_what_it_asked_before(
    cluster: Cluster, victim: Server
) -> None:
    """The leader has done it all, and dies before any reply has left; the log tells of the writes alone."""
    asked, other = cluster.others(victim)
    with asked.client() as client:
        ask(client, "MSET", "k", "old", "other", "there")
        cluster.network.block(victim.name, asked.name)
        client.send(
            ("get", "k"), ("setnx", "k", "never"), ("get", "other"), ("set", "k", "new"), ("get", "k")
        )
        eventually(lambda: b"new" in victim.call("get", "k"), "the leader has done it")
        victim.kill()
        cluster.network.cut(victim.name, asked.name)  # what was held never arrives
        cluster.network.heal()
        early, refused, apart, late, seen = [client.receive() for _ in range(5)]
    for reply in (early, refused):
        assert isinstance(reply, hiredis.ReplyError), reply
        assert str(reply).startswith("TRYAGAIN"), reply
    assert (apart, late, seen) == (b"there", b"OK", b"new")
    assert other.call("get", "k") == b"new"
