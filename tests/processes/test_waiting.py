"""Clients that wait at one node for a key that another one leads: they are told when that comes to an end, soon, and
what is pushed afterwards is for those who still wait.
"""

import time
from collections.abc import Iterator

import hiredis
import pytest

from tests.processes.client import Client
from tests.processes.harness import Cluster, Server, eventually, key_of

GROUP = 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("waiting")) as cluster:
        cluster.wait_spread()
        yield cluster


class Scene:
    """A popper and a reader of a stream, who wait at a node that does not lead; others push. A context manager."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        cluster.wait_spread()  # or the balancing of leaders would let them go before the test does
        self.leader: Server = cluster.leader(GROUP)
        self.here, self.there = cluster.others(self.leader)
        tag = "{" + key_of(GROUP, of=len(cluster.group_numbers), name=name) + "}"
        self.list, self.stream = f"{tag}l", f"{tag}s"
        self.popper, self.reader = self.here.client(30), self.here.client(30)
        self.popper.send(("blpop", self.list, 0))
        self.reader.send(("xread", "block", 0, "streams", self.stream, "$"))
        eventually(lambda: self.here.info("clients")["blocked_clients"] == "2", "both wait")
        time.sleep(0.1)  # … at the leader too

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self.popper.close()
        self.reader.close()

    def push(self) -> None:
        """Somebody pushes, at another node, as soon as the group has a leader."""

        def pushed() -> bool:
            with self.there.client() as client:
                return not isinstance(client.call("rpush", self.list, "element"), hiredis.ReplyError)

        eventually(pushed, "the group takes writes")

    def nobody_took_it(self) -> bool:
        with self.there.client() as client:
            return bool(client.call("lrange", self.list, 0, -1) == [b"element"])


def code(client: Client) -> str:
    """The first word of the error that a client is told."""
    reply = client.receive()
    assert isinstance(reply, hiredis.ReplyError), reply
    return str(reply).split()[0]


def test_a_leader_that_stops_lets_those_who_wait_go(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "stops") as scene:
        with scene.here.client() as leaving:
            leaving.send(("blpop", scene.list, 0))
        scene.leader.stop()
        assert (code(scene.popper), code(scene.reader)) == ("UNBLOCKED", "UNBLOCKED")
        scene.push()
        assert scene.nobody_took_it()
        scene.leader.start()
        cluster.wait_ready()


def test_when_the_leader_dies_who_might_have_been_served_does_not_know(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "dies") as scene:
        scene.leader.kill()
        assert (code(scene.popper), code(scene.reader)) == ("UNKNOWN", "UNBLOCKED")
        scene.push()
        assert scene.nobody_took_it()
        scene.leader.start()
        cluster.wait_ready()


def test_a_broken_link_ends_the_wait_at_both_of_its_ends(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "cut") as scene:
        cluster.network.cut(scene.here.name, scene.leader.name)
        assert (code(scene.popper), code(scene.reader)) == ("UNKNOWN", "UNBLOCKED")
        eventually(lambda: scene.leader.info("clients")["blocked_clients"] == "0", "nobody waits")
        scene.push()
        assert scene.nobody_took_it()


def test_a_leader_that_hears_and_says_nothing_is_not_waited_for_for_ever(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "paused") as scene:
        scene.leader.pause()
        codes = (code(scene.popper), code(scene.reader))
        scene.leader.resume()
        assert codes[0] == "UNKNOWN"
        assert codes[1] in ("UNBLOCKED", "UNKNOWN")
        scene.push()
        assert scene.nobody_took_it()
        cluster.wait_ready()
