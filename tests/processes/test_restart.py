"""A clean stop and start of a node costs the clients of the other nodes nothing but a moment."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

from tests.processes.client import ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import STEADY, Cluster, Server, eventually, key_of

pause_s = 0.002


class Steady:
    """A client that writes and reads one key all the time and keeps what went wrong."""

    def __init__(self, server: Server, key: str) -> None:
        self.problems: list[str] = []
        self.done_s: list[float] = []
        self._server = server
        self._key = key

    def work(self, over: threading.Event) -> None:
        number = 0
        try:
            with self._server.client() as client:
                while not over.is_set():
                    number += 1
                    for reply in client.pipeline(("set", self._key, number), ("get", self._key)):
                        if isinstance(reply, hiredis.ReplyError):
                            self.problems.append(f"{self._server.name} {self._key}: {reply}")
                        elif reply not in (b"OK", str(number).encode()):
                            self.problems.append(
                                f"{self._server.name} {self._key}: {reply!r} instead of {number}"
                            )
                    self.done_s.append(time.monotonic())
                    time.sleep(pause_s)
        except ConnectionLost as error:
            self.problems.append(f"{self._server.name} {self._key}: {error}")

    @property
    def longest_gap_s(self) -> float:
        """The longest time between two replies."""
        return max(later - earlier for earlier, later in zip(self.done_s, self.done_s[1:], strict=False))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("restart"), raft=STEADY) as cluster:
        yield cluster


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_a_restart_costs_the_clients_of_the_other_nodes_no_error(name: str, cluster: Cluster) -> None:
    """The longest time that a client waited is printed (pytest -s), not judged."""
    with cluster.logs_on_failure():
        cluster.wait_ready()
        node = cluster.nodes[name]
        led = [group for group in cluster.group_numbers if cluster.leader(group) is node]
        clients = [
            Steady(server, key_of(group, of=len(cluster.group_numbers), name=f"{name}{server.name}"))
            for server in cluster.others(node)
            for group in cluster.group_numbers
        ]
        with Crew(*(client.work for client in clients)):
            all_go_on(clients)
            assert node.stop() == 0
            all_go_on(clients)
            node.start()
            cluster.wait_ready()
            all_go_on(clients)
        problems = [problem for client in clients for problem in client.problems]
        assert not problems, f"{len(problems)}: {problems[:5]}"
        longest_s = max(client.longest_gap_s for client in clients)
        print(
            f"\n{name} led groups {led}; its restart made a client of the others wait for {longest_s:.3f} s at most"
        )


def all_go_on(clients: list[Steady]) -> None:
    """Wait until each has done some more, or has run into a problem."""
    targets = [(client, len(client.done_s) + 20) for client in clients]
    eventually(
        lambda: all(len(client.done_s) >= target or client.problems for client, target in targets),
        "all clients go on",
    )


def test_a_leadership_given_to_a_node_that_dies_comes_to_somebody_who_lives(tmp_path: Path) -> None:
    """The leader stops taking commands while it hands over; when that comes to nothing it must go on by itself."""
    with Cluster(tmp_path, groups=1) as cluster:
        preferred = cluster.servers[0]
        preferred.kill()
        others = cluster.others(preferred)
        for other in others:
            cluster.network.delay(preferred.name, other.name, 1.0)  # it will win, but not before it dies

        def told() -> str:
            """What it has become; empty: nothing yet."""
            role = preferred.groups()[1]["role"]
            return role if role in ("candidate", "leader") else ""

        for _ in range(5):
            leader = cluster.leader(1, among=others)
            preferred.start()
            if eventually(told, "it is told to take over") == "candidate":
                break
            preferred.kill()  # it has won before we looked
        cluster.network.mute(preferred.name)
        preferred.kill()
        eventually(lambda: leader.call("set", "k", "v") == b"OK", "writes go on")
