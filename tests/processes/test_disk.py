"""Trouble with a disk, a data directory or a name: the node says so in a sentence and steps aside, the cluster
goes on.

What a full disk does is shown in two ways: by a limit on the size of files, which needs nothing, and on a small
file system of its own, which needs root. A sync that fails is injected by strace. CI has both (root, and the
package strace); where one is missing, these tests are skipped and the report of pytest says why.
"""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import hiredis
import pytest

from tests.ports import free_port
from tests.processes.client import ConnectionLost
from tests.processes.harness import Cluster, Server, Standalone, eventually, key_of, patience_s

groups = 3
file_bytes_max = 3 << 20
value = "x" * 50_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """For tests that leave it whole."""
    with Cluster(tmp_path_factory.mktemp("disk"), groups=groups) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    with shared.logs_on_failure():
        shared.wait_ready()
        yield shared


def last_words(server: Server) -> str:
    """The last line of a node that has ended, which must be its one sentence, and no traceback before it."""
    text = server.log_since_start
    assert "Traceback" not in text, text[-3000:]
    sentence = text.splitlines()[-1]
    assert sentence.startswith("redraft: "), sentence
    return sentence


def written(server: Server, key: str, value: str) -> bool:
    """A write, and whether it was acknowledged."""
    return bool(server.call("set", key, value) == b"OK")


def write_everywhere(server: Server, name: str) -> None:
    """A write to every group through `server`, and all of it read again."""
    for group in range(1, groups + 1):
        key = key_of(group, of=groups, name=name)
        eventually(partial(written, server, key, name), f"group {group} takes writes")
        assert server.insist("get", key) == name.encode()


def fill(server: Server, through: Server) -> None:
    """Write through another node until `server` ends."""
    with through.client() as client:
        number = 0
        deadline_s = time.monotonic() + patience_s
        while server.running and time.monotonic() < deadline_s:
            number += 1
            client.call("set", f"fill{number % 50}", value)
    assert server.wait() == 1


def flip(path: Path, place: float) -> None:
    """Change one byte of a file; `place` 0 to 1: where."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0xFF
    path.write_bytes(data)


# -- a disk that takes no more -------------------------------------------------------------------------------


def test_a_node_whose_disk_takes_no_more_stops_and_the_cluster_goes_on(cluster: Cluster) -> None:
    node, other, _ = cluster.servers
    node.stop()
    node.start(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max)))
    cluster.wait_ready()
    fill(node, other)
    assert "start" in last_words(node)
    write_everywhere(other, "after")
    node.start()
    cluster.wait_ready()
    write_everywhere(node, "again")


def test_a_leader_without_disk_never_says_ok_for_what_is_not_kept(tmp_path: Path) -> None:
    with Standalone(tmp_path) as alone:
        node = alone.node
        node.stop()
        node.start(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max)))
        alone.wait_ready()
        acknowledged = []
        with node.client() as client, suppress(ConnectionLost):
            for start in range(0, 4000, 10):
                numbers = range(start, start + 10)
                client.send(*(("set", f"k{number}", f"{number}{value}") for number in numbers))
                acknowledged += [number for number in numbers if client.receive() == b"OK"]
        assert node.wait() == 1
        last_words(node)
        assert 0 < len(acknowledged) < 4000
        node.start()
        alone.wait_ready()
        with node.client() as client:
            for number in acknowledged:
                assert client.call("get", f"k{number}") == f"{number}{value}".encode()


@pytest.mark.skipif(
    os.geteuid() != 0, reason="a file system of its own can be mounted by root only; CI is root"
)
def test_a_node_whose_file_system_is_full_stops_and_the_cluster_goes_on(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"root may not mount here: {mount.stderr.strip()}")
    try:
        with Cluster(tmp_path, groups=groups, data={"n1": small / "n1"}) as cluster:
            node, other, _ = cluster.servers
            fill(node, other)
            last_words(node)
            write_everywhere(other, "after")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_node_with_little_space_left_leads_nothing_and_the_others_do(tmp_path: Path) -> None:
    with Cluster(tmp_path, groups=groups) as cluster:
        node, other, third = cluster.servers
        config = Path(node.arguments[1])
        node.stop()
        config.write_text(
            config.read_text().replace('"disk_free_min_mb" = 0', '"disk_free_min_mb" = 1000000000')
        )
        node.start()
        eventually(lambda: "this node takes no writes" in node.log, "it says that there is little space")
        for server in (other, third, node):
            write_everywhere(server, f"by{server.name}")
        for group in cluster.group_numbers:
            eventually(lambda g=group: cluster.leader(g) is not node, "it leads nothing")


def test_a_node_whose_sync_fails_stops_and_the_cluster_goes_on(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("a failing sync is injected by strace, which is not installed; CI has it")
    with Cluster(tmp_path, groups=groups) as cluster:
        node, other, _ = cluster.servers
        node.stop()
        node.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,pwrite64,io_submit"]
        # What the kernel does not take (io_submit) a thread writes (pwrite64), whose errors count.
        node.wrapper += ["-e", "inject=fdatasync,pwrite64,io_submit:error=EIO:when=100+"]
        node.start()
        fill(node, other)
        last_words(node)
        write_everywhere(other, "after")


# -- damage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "place"), [("*.log", 0.5), ("journal", 0.00001)])
def test_a_node_with_a_damaged_log_does_not_start_and_the_cluster_goes_on(
    cluster: Cluster, file: str, place: float
) -> None:
    node, other, _ = cluster.servers
    with other.client() as client:
        client.pipeline(*(("set", f"k{number}", "v" * 500) for number in range(500)))
    cluster.wait_agreed()
    node.kill()
    log = max((node.data / "log").glob(file), key=lambda path: path.stat().st_size)
    flip(log, place)
    node.start()
    assert node.wait() == 1
    assert "log" in last_words(node)
    write_everywhere(other, "after")
    flip(log, place)
    node.start()
    cluster.wait_ready()


@pytest.mark.parametrize("kind", ["log", "ldb"])
def test_a_node_with_a_damaged_data_store_does_not_serve_wrong_data(kind: str, tmp_path: Path) -> None:
    with Cluster(tmp_path, groups=groups, storage={"write_buffer_mb": 1, "block_cache_mb": 1}) as cluster:
        node, other, _ = cluster.servers
        keys = [f"k{number}" for number in range(1500)]
        with other.client() as client:
            client.pipeline(*(("set", key, key + "-" * 2000) for key in keys))
        cluster.wait_agreed()
        node.kill()
        files = sorted((node.data / "data").glob(f"*.{kind}"), key=lambda path: path.stat().st_size)
        assert files, "the test must write enough for such a file"
        for place in (0.3, 0.5, 0.7):
            flip(files[-1], place)
        node.start()
        eventually(lambda: not node.running or node.call("ping") == b"PONG", "it runs, or it has ended")
        if node.running:
            eventually(
                lambda: not node.running or not isinstance(node.call("dbsize"), hiredis.ReplyError),
                "it is back, or it has ended",
            )
        if node.running:
            cluster.wait_agreed()
            with node.client() as client:
                assert client.call("readonly") == b"OK"
                for key in keys:
                    reply = client.call("get", key)
                    right = isinstance(reply, hiredis.ReplyError) or reply == (key + "-" * 2000).encode()
                    assert right, f"{key} is {str(reply)[:100]}"
        else:
            last_words(node)
        write_everywhere(other, "after")


# -- whose directory, whose name -----------------------------------------------------------------------------


def test_a_node_does_not_start_on_the_data_of_another_one(cluster: Cluster, tmp_path: Path) -> None:
    one, two, three = cluster.servers
    one.stop()
    two.stop()
    config = cluster.write_config("n1", "wrong.toml", n1=two.data, n2=tmp_path / "elsewhere")
    confused = Server(
        "confused", one.port, ["serve", str(config), "--node", "n1"], tmp_path / "confused.log", two.data
    )
    confused.start()
    assert confused.wait() == 1
    assert "belongs to node n2" in last_words(confused)
    one.start()
    two.start()
    cluster.wait_ready()
    write_everywhere(three, "after")


def test_two_processes_can_not_use_one_data_directory(tmp_path: Path) -> None:
    with Standalone(tmp_path) as alone:
        port = free_port()
        arguments = ["serve", "--port", str(port), "--data", str(alone.node.data)]
        second = Server("second", port, arguments, tmp_path / "second.log", alone.node.data)
        second.start()
        assert second.wait() == 1
        assert "in use by another process" in last_words(second)
        assert alone.node.call("set", "k", "v") == b"OK"


def test_two_processes_can_not_use_one_port(tmp_path: Path) -> None:
    with Standalone(tmp_path) as alone:
        data = tmp_path / "other"
        arguments = ["serve", "--port", str(alone.node.port), "--data", str(data)]
        second = Server("second", alone.node.port, arguments, tmp_path / "second.log", data)
        second.start()
        assert second.wait() == 1
        assert "another process" in last_words(second)
        assert alone.node.call("set", "k", "v") == b"OK"


def test_a_second_process_with_the_name_of_a_node_gets_no_say(cluster: Cluster, tmp_path: Path) -> None:
    """It has a directory and ports of its own, and calls itself n1."""
    one, two, _ = cluster.servers
    write_everywhere(two, "before")
    port, peer_port = free_port(), free_port()
    config = cluster.write_config("n1", "impostor.toml", n1=tmp_path / "impostor")
    lines = config.read_text().splitlines()
    mine = lines.index("[nodes.n1]")
    lines[mine + 1 : mine + 3] = [f"port = {port}", f"peer_port = {peer_port}"]
    config.write_text("\n".join(lines) + "\n")
    impostor = Server(
        "impostor", port, ["serve", str(config), "--node", "n1"], tmp_path / "impostor.log", tmp_path
    )
    impostor.start()
    try:
        eventually(
            lambda: "n1 has another data directory than before" in impostor.log_since_start, "it is told why"
        )
        assert impostor.groups()[1]["role"] != "leader"
        reply = impostor.call("set", key_of(1, of=groups), "wrong")
        assert isinstance(reply, hiredis.ReplyError)
        assert str(reply).startswith("CLUSTERDOWN")
        write_everywhere(two, "after")
        write_everywhere(one, "too")
    finally:
        impostor.reap()


def test_a_node_that_lost_its_data_gets_no_vote_until_it_has_it_back(cluster: Cluster) -> None:
    """It has forgotten what it acknowledged; the others say so and go on without it."""
    node, other, third = cluster.servers
    write_everywhere(other, "before")
    node.stop()
    node.data.rename(node.data.with_name("lost"))
    node.start()
    eventually(lambda: "has another data directory than before" in node.log_since_start, "it is told why")
    write_everywhere(other, "without")
    assert int(node.groups()[1]["commit"]) <= 1, "nobody may send it anything"
    # One more away: no majority, and the empty node must not make up for it.
    third.stop()
    reply = other.call("set", key_of(1, of=groups), "alone")
    assert isinstance(reply, hiredis.ReplyError)
    third.start()
    write_everywhere(other, "again")
    node.stop()
    shutil.rmtree(node.data)
    node.data.with_name("lost").rename(node.data)
    node.start()
    cluster.wait_ready()
    write_everywhere(node, "back")
