"""What can happen to a cluster, and a sequence of such things drawn from a seed.

A fault is a function that does harm to a cluster, waits for some time while clients go on, and undoes it. To
add one: write it and put it into FAULTS.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.processes.elements import Elements
from tests.processes.harness import Cluster, Server, eventually
from tests.processes.workload import CollectionWorkload, Workload

longer_than_lease_s = 1.4
"""Lease 0.5 s, election at 0.7 to 1.05 s: by then another node leads."""


def leader_of_any(cluster: Cluster, rng: random.Random) -> Server:
    """A node that leads at least one group."""
    return cluster.leader(rng.choice(list(cluster.group_numbers)))


def kill_leader(cluster: Cluster, rng: random.Random) -> None:
    """kill -9, and a start some time later."""
    server = leader_of_any(cluster, rng)
    server.kill()
    time.sleep(rng.uniform(0.1, 2.0))
    server.start()


def kill_all(cluster: Cluster, rng: random.Random) -> None:
    """kill -9 of every node at once."""
    with ThreadPoolExecutor(len(cluster.servers)) as pool:
        list(pool.map(Server.kill, cluster.servers))
    for server in cluster.servers:
        server.start()


def pause_leader(cluster: Cluster, rng: random.Random) -> None:
    """SIGSTOP for longer than the lease: it wakes up believing that it leads."""
    server = leader_of_any(cluster, rng)
    server.pause()
    time.sleep(longer_than_lease_s + rng.uniform(0, 0.5))
    server.resume()


def pause_leader_shortly(cluster: Cluster, rng: random.Random) -> None:
    """SIGSTOP around the lengths of lease and election, several times."""
    for _ in range(3):
        server = leader_of_any(cluster, rng)
        server.pause()
        time.sleep(rng.uniform(0.3, 0.9))
        server.resume()
        time.sleep(rng.uniform(0, 0.3))


def isolate_leader(cluster: Cluster, rng: random.Random) -> None:
    """Nobody hears it, it hears nobody; its clients still talk to it."""
    _partition(cluster, rng, cluster.network.isolate)


def mute_leader(cluster: Cluster, rng: random.Random) -> None:
    """It hears everybody, nobody hears it."""
    _partition(cluster, rng, cluster.network.mute)


def deafen_leader(cluster: Cluster, rng: random.Random) -> None:
    """Everybody hears it, it hears nobody."""
    _partition(cluster, rng, cluster.network.deafen)


def _partition(cluster: Cluster, rng: random.Random, apart: Callable[[str], None]) -> None:
    apart(leader_of_any(cluster, rng).name)
    time.sleep(longer_than_lease_s + rng.uniform(0, 1.0))
    cluster.network.heal()


def break_one_pair(cluster: Cluster, rng: random.Random) -> None:
    """Two nodes do not hear each other, both hear the third."""
    one, other = rng.sample(cluster.names, 2)
    cluster.network.block(one, other)
    cluster.network.block(other, one)
    time.sleep(longer_than_lease_s + rng.uniform(0, 1.0))
    cluster.network.heal()


def cut_connections(cluster: Cluster, rng: random.Random) -> None:
    """Connections between nodes are reset again and again, with what was under way."""
    for _ in range(12):
        cluster.network.cut(*rng.sample(cluster.names, 2))
        time.sleep(rng.uniform(0, 0.15))


def slow_network(cluster: Cluster, rng: random.Random) -> None:
    """Every direction has a delay of its own."""
    for one in cluster.names:
        for other in cluster.names:
            if one != other:
                cluster.network.delay(one, other, rng.choice((0.0, 0.02, 0.1, 0.3)))
    time.sleep(rng.uniform(1.0, 2.0))
    cluster.network.heal()


def restart_cleanly(cluster: Cluster, rng: random.Random) -> None:
    """SIGTERM and a new start."""
    server = rng.choice(cluster.servers)
    server.stop()
    server.start()


def isolate_then_kill(cluster: Cluster, rng: random.Random) -> None:
    """A leader that is cut off takes writes that nobody else hears of, and dies; it must not bring them back."""
    server = leader_of_any(cluster, rng)
    cluster.network.isolate(server.name)
    time.sleep(rng.uniform(0.1, 1.0))
    server.kill()
    time.sleep(rng.uniform(0.5, 1.5))
    cluster.network.heal()
    server.start()


Fault = Callable[[Cluster, random.Random], None]
FAULTS: Sequence[Fault] = (
    kill_leader,
    kill_all,
    pause_leader,
    pause_leader_shortly,
    isolate_leader,
    mute_leader,
    deafen_leader,
    break_one_pair,
    cut_connections,
    slow_network,
    restart_cleanly,
    isolate_then_kill,
)


def suffer(
    cluster: Cluster, faults: Sequence[Fault], seed: int, name: str, directory: Path, *, rest_s: float = 0.3
) -> Workload:
    """Let clients work while `faults` happen one after another; then everything must be as if nothing had.

    Raises AssertionError when the history is not linearizable, a client was told something surprising, or
    writes do not go on after a fault.
    """
    rng = random.Random(seed)
    with Workload(cluster.servers, seed, name) as workload:
        time.sleep(rest_s)
        for fault in faults:
            fault(cluster, rng)
            time.sleep(rest_s)
            cluster.wait_ready()
        workload.wait_for_successes()
    workload.read_everything(rng.choice(cluster.servers))
    workload.assert_linearizable(directory)
    return workload


def suffer_with_elements(
    cluster: Cluster, faults: Sequence[Fault], seed: int, name: str, directory: Path, *, rest_s: float = 0.3
) -> Elements:
    """As `suffer`, with clients that pass elements on, and others that use sets and lists.

    Raises AssertionError with what is not as it must be.
    """
    rng = random.Random(seed)
    groups = len(cluster.group_numbers)
    collections = CollectionWorkload(cluster.servers, seed, f"{name}:c", clients=6)
    with Elements(cluster.servers, seed, name, groups=groups) as elements, collections:
        time.sleep(rest_s)
        for fault in faults:
            fault(cluster, rng)
            time.sleep(rest_s)
            cluster.wait_ready()
        before = elements.counts.total()
        eventually(lambda: elements.counts.total() > before, "clients go on after the faults")
        collections.wait_for_successes()
    server = rng.choice(cluster.servers)
    problems = elements.problems(server)
    assert not problems, f"seed {seed}: {len(problems)} problems, among them {problems[:5]}"
    collections.read_everything(server)
    collections.assert_linearizable(directory)
    return elements
