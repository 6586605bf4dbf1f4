"""Commands that take longer than followers wait for a heartbeat: nobody loses a leadership, other groups go on, and the
group that is at work says so."""

import threading
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from tests.processes.harness import STEADY, Cluster, Server, eventually, key_of, leads, patience_s

GROUPS = 3
SECONDS_MAX = patience_s
LONG_S = 5.0
"""Longer than it takes until followers elect another leader (STEADY), and enough for a test to see it."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("long_work"), groups=GROUPS, raft=STEADY) as cluster:
        cluster.wait_spread()
        yield cluster


class Background:
    """A command on a connection of its own, in a thread."""

    def __init__(self, server: Server, *args: str | bytes | int) -> None:
        self.reply: Any = None
        self._thread = threading.Thread(target=self._run, args=(server, args), daemon=True)
        self._thread.start()

    def _run(self, server: Server, args: tuple[str | bytes | int, ...]) -> None:
        self.reply = server.call(*args, timeout_s=SECONDS_MAX)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> Any:
        self._thread.join(SECONDS_MAX)
        assert not self.running
        return self.reply


def threshold(cluster: Cluster, milliseconds: int) -> None:
    for server in cluster.servers:
        assert server.call("config", "set", "busy-reply-threshold", milliseconds) == b"OK"


def terms(cluster: Cluster) -> list[str]:
    return [cluster.servers[0].groups()[group]["term"] for group in range(1, GROUPS + 1)]


def busy(server: Server, key: str) -> bool:
    reply = server.call("get", key)
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("BUSY ")


def spinning(seconds: float) -> str:
    """A script that takes about so long, whatever the machine does; os.clock is the process's CPU time."""
    return f"local until_s = os.clock() + {seconds} while os.clock() < until_s do end"


@pytest.mark.parametrize("at", ["leader", "another node"])
def test_a_script_of_seconds_holds_up_its_own_group_alone(cluster: Cluster, at: str) -> None:
    before = terms(cluster)
    leader = cluster.leader(1)
    server = leader if at == "leader" else cluster.others(leader)[0]
    key = key_of(1, of=GROUPS)
    threshold(cluster, 1)
    script = Background(
        server, "eval", f"redis.call('set',KEYS[1],'x') {spinning(LONG_S)} return 'ok'", 1, key
    )
    eventually(lambda: busy(leader, key), "the script runs")
    threshold(cluster, 60_000)
    waiting = Background(leader, "get", key)
    served = 0
    while script.running:
        for group in (2, 3):
            assert leader.call("set", key_of(group, of=GROUPS), 1) == b"OK"
            served += script.running
    assert script.join() == b"ok"
    assert waiting.join() == b"x", "what came after it waited"
    assert served > 2, "a node that stands still answers one, when the script has ended"
    assert terms(cluster) == before


def test_busy_and_script_kill(cluster: Cluster) -> None:
    threshold(cluster, 300)
    leader = cluster.leader(1)
    other, third = cluster.others(leader)
    key = key_of(1, of=GROUPS)
    assert str(third.call("script", "kill")).startswith("NOTBUSY ")
    script = Background(other, "eval", "while true do pcall(redis.call,'get',KEYS[1]) end", 1, key)
    eventually(lambda: busy(leader, key), "the group is busy")
    assert busy(third, key)
    with third.client() as client:
        client.call("multi")
        client.call("get", key)
        assert str(client.call("exec")).startswith("EXECABORT Transaction discarded because of: BUSY ")
    assert leader.call("set", key_of(2, of=GROUPS), 1) == b"OK"
    assert str(leader.call("ping")).startswith("BUSY "), "who asks how the node is hears of it"
    assert third.call("ping") == b"PONG"
    with leader.client() as client:
        assert client.call("multi") == b"OK"
        assert str(client.call("set", key_of(2, of=GROUPS), 2)).startswith("BUSY "), (
            "no transaction is made here"
        )
        assert str(client.call("exec")).startswith("EXECABORT ")
    assert leader.call("get", key_of(2, of=GROUPS)) == b"1"
    assert str(leader.call("shutdown")).startswith("BUSY ")
    assert third.call("script", "kill") == b"OK"
    assert "Script killed by user with SCRIPT KILL" in str(script.join())
    assert not busy(leader, key)


def test_a_script_that_has_written_is_unkillable(cluster: Cluster) -> None:
    threshold(cluster, 300)
    key = key_of(1, of=GROUPS)
    script = Background(
        cluster.leader(1), "eval", f"redis.call('set',KEYS[1],'w') {spinning(LONG_S)} return 'ok'", 1, key
    )
    eventually(lambda: busy(cluster.servers[0], key), "the group is busy")
    assert str(cluster.servers[1].call("script", "kill")).startswith("UNKILLABLE ")
    assert script.join() == b"ok"
    assert cluster.servers[2].call("get", key) == b"w"


@pytest.mark.parametrize("at", ["leader", "another node"])
def test_client_kill_takes_it_back(cluster: Cluster, at: str) -> None:
    threshold(cluster, 300)
    leader = cluster.leader(1)
    server = leader if at == "leader" else cluster.others(leader)[0]
    key = key_of(1, of=GROUPS)
    leader.call("set", key, "before")
    with server.client() as client:
        number = client.call("client", "id")
        client.send(("eval", "redis.call('set',KEYS[1],'after') while true do end", 1, key))
        eventually(lambda: busy(leader, key), "the group is busy")
        assert server.call("client", "kill", "id", number) == 1
        eventually(lambda: not busy(leader, key), "the group is free")
    assert leader.call("get", key) == b"before"


def test_a_command_over_much_data_holds_nobody_up(cluster: Cluster) -> None:
    leader = cluster.leader(1)
    before = terms(cluster)
    key, other = key_of(1, of=GROUPS, name="s"), key_of(1, of=GROUPS, name="t")
    with leader.client(SECONDS_MAX) as client:
        for first in range(0, 100_000, 20_000):
            client.call("sadd", key, *range(first, first + 20_000))
        store = Background(leader, "sunionstore", other, key)
        served = 0
        while store.running:
            assert client.call("set", key_of(2, of=GROUPS), 1) == b"OK"
            served += store.running
        assert store.join() == 100_000
        assert served > 2, "others went on meanwhile"
        assert client.call("scard", other) == 100_000
        assert client.call("del", key, other) == 2
    assert terms(cluster) == before


def test_a_leadership_that_is_lost_takes_it_along(cluster: Cluster) -> None:
    threshold(cluster, 1)
    leader = cluster.leader(1)
    key = key_of(1, of=GROUPS)
    leader.call("set", key, "before")
    script = Background(leader, "eval", "redis.call('set',KEYS[1],'after') while true do end", 1, key)
    eventually(lambda: busy(leader, key), "the script is at work")
    leader.pause()
    eventually(lambda: any(leads(server, 1) for server in cluster.others(leader)), "another node leads")
    leader.resume()
    reply = str(script.join())
    assert reply.startswith("TRYAGAIN The leader of the shard group changed while the command was running")
    for server in cluster.servers:
        eventually(lambda server=server: server.call("get", key) == b"before", "nothing was written")
