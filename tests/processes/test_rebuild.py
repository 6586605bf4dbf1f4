"""A node that lost its data comes back: the others take it out of all groups, and send it everything.

The story in full is told in server/cluster/membership.py.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

from tests.processes.crew import Crew
from tests.processes.harness import ROOT, STEADY, Cluster, Server, eventually, key_of
from tests.processes.test_restart import Steady

keys_written = 200
large = b"x" * 100_000
"""So many of these that the log is cut short, and an empty node needs a snapshot."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, raft={**STEADY, "log_retain_mb": 1}) as cluster:
        yield cluster


def rebuild(cluster: Cluster, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`redraft rebuild` with any node's file."""
    command = [sys.executable, "-P", "-m", "server", "rebuild", str(cluster.directory / "n2.toml")]
    return subprocess.run(
        [*command, "--node", name, *words], cwd=ROOT, capture_output=True, text=True, timeout=250, check=False
    )


def write(server: Server, prefix: str, value: bytes = b"small") -> dict[str, bytes]:
    """Acknowledged writes to all groups."""
    written = {f"{prefix}:{number}": b"%d %b" % (number, value) for number in range(keys_written)}
    with server.client() as client:
        for key, one in written.items():
            assert client.call("set", key, one) == b"OK"
    return written


def read(server: Server, keys: dict[str, bytes]) -> dict[str, bytes]:
    with server.client() as client:
        return dict(zip(keys, client.pipeline(*(("get", key) for key in keys)), strict=True))


def wipe(server: Server) -> None:
    """Its disk is gone."""
    shutil.rmtree(server.data)


def is_cut_short(server: Server) -> bool:
    """Its logs do not reach back to their beginning."""
    return all(int(server.groups()[group]["first"]) > 2 for group in (1, 2, 3))


def is_whole(server: Server, among: list[Server]) -> bool:
    """The node is a voter of every group, says each group's leader."""
    voters = {
        number: group["voters"].split("+")
        for one in among
        for number, group in one.groups().items()
        if group["role"] == "leader"
    }
    return len(voters) == len(server.groups()) and all(server.name in names for names in voters.values())


def test_a_node_that_lost_its_disk_is_refused_and_after_a_rebuild_gets_everything(cluster: Cluster) -> None:
    n1, n2, n3 = cluster.servers
    kept = write(n2, "before", large)
    for server in (n2, n3):
        eventually(lambda s=server: is_cut_short(s), "logs are cut short")
    n1.kill()
    wipe(n1)
    n1.start()
    eventually(lambda: "has another data directory than before" in n2.log, "n2 refuses n1")
    eventually(lambda: "has another data directory than before" in n3.log, "n3 refuses n1")
    assert "redraft rebuild FILE --node n1" in n3.log
    kept |= write(n3, "while refused")
    n1.kill()
    wipe(n1)

    # Those who write meanwhile notice nothing: changes of members come between their writes.
    steady = [
        Steady(server, key_of(group, of=3, name=server.name)) for server in (n2, n3) for group in (1, 2, 3)
    ]
    with Crew(*(client.work for client in steady)):
        done = rebuild(cluster, "n1")
        assert done.returncode == 0, done.stderr
        assert "now start n1 with an empty data directory" in done.stdout
        voters = ["n2+n3"] * 4
        eventually(lambda: [group["voters"] for group in n2.groups().values()] == voters, "n2 knows it")
        kept |= write(n2, "without n1")

        n1.start()
        eventually(lambda: is_whole(n1, cluster.servers), "n1 is a voter of every group")
    assert [problem for client in steady for problem in client.problems] == []
    cluster.wait_agreed()
    assert is_cut_short(n1), "it came by snapshot"

    # n1's word counts again: with n2 gone nothing is missing, and a majority takes writes.
    n2.kill()
    eventually(lambda: not isinstance(n1.call("dbsize"), hiredis.ReplyError), "n1 and n3 have leaders")
    kept |= write(n1, "without n2")
    assert read(n1, kept) == kept
    assert read(n3, kept) == kept


def test_a_node_with_a_damaged_log_says_how_it_is_rebuilt(cluster: Cluster) -> None:
    n1, n2, n3 = cluster.servers
    kept = write(n1, "k")
    cluster.wait_agreed()
    n1.kill()
    flip_a_byte(n1.data / "log")
    n1.start()
    assert n1.wait() == 1
    last = n1.log.splitlines()[-1]
    assert "damaged" in last or "can not be opened" in last
    assert f"redraft rebuild {cluster.directory / 'n1.toml'} --node n1" in last

    # Started too early it does no harm: it waits until it is accepted.
    wipe(n1)
    n1.start()
    eventually(lambda: "has another data directory than before" in n2.log, "n2 refuses n1")
    assert rebuild(cluster, "n1").returncode == 0
    eventually(lambda: is_whole(n1, cluster.servers), "n1 is a voter of every group")
    cluster.wait_agreed()
    n3.kill()
    eventually(lambda: not isinstance(n1.call("dbsize"), hiredis.ReplyError), "n1 and n2 have leaders")
    assert read(n1, kept) == kept


def flip_a_byte(log: Path) -> None:
    """In the middle of the newest file of records."""
    newest = max(log.glob("*.log"), key=lambda path: path.stat().st_size)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)


def test_a_healthy_node_and_a_lost_majority_are_refused(cluster: Cluster) -> None:
    n1, _n2, n3 = cluster.servers
    eventually(
        lambda: "is connected to n2 and n3" in rebuild(cluster, "n1").stderr, "a healthy node is left alone"
    )
    assert "has no node n9" in rebuild(cluster, "n9").stderr

    n1.kill()
    n3.kill()
    refused = rebuild(cluster, "n1")
    assert refused.returncode == 1
    assert "node n3" in refused.stderr
    assert "every other node has to take part" in refused.stderr
    n1.start()
    n3.start()
    cluster.wait_ready()  # with all its data: nothing had been changed
    eventually(lambda: is_whole(n1, cluster.servers), "n1 is still a voter of every group")
