"""What was acknowledged is still there after a power cut: of what a program wrote and did not sync, nothing is.

kill -9 does not show that, as the kernel goes on to write what it was given. So the servers have their data on a disk
of their own here, a file system in a file. Cutting its power is to stop them where they are, to take the file as it is
at that moment, with all that was only in the memory of the kernel missing, and to go on with that one. What a disk has
in a memory of its own is not lost here. It takes root and ext4, which CI has; elsewhere these tests are skipped and the
report of pytest says why.
"""

import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.processes.harness import Cluster, Server, eventually, first_index, has_compacted
from tests.processes.writer import Writer

disk_bytes = 1 << 30
cuts = 3
value_bytes = 20_000
rest_s = 1.0
"""A cut comes at most so long after all logs were compacted."""
part_bytes = 1 << 20
"""Of a snapshot of 6 MB and more."""
small_log = {"log_retain_mb": 1}


class Disk:
    """A file system in a file."""

    def __init__(self, directory: Path) -> None:
        """Makes and mounts it. Skips the test where that can not be."""
        self._file = directory / "disk"
        self.root = directory / "mounted"
        self.root.mkdir()
        with self._file.open("wb") as file:
            file.truncate(disk_bytes)
        try:
            _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._file)
            self._mount()
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or str(error)
            pytest.skip(f"no ext4 can be made and mounted here ({why.strip()}); root can in CI")

    def _mount(self) -> None:
        self._device = _run("losetup", "--find", "--show", self._file)
        try:
            _run("mount", self._device, self.root)
        except subprocess.CalledProcessError:
            _run("losetup", "--detach", self._device)
            raise

    def unmount(self) -> None:
        """When nobody uses it any more."""
        _run("umount", self.root)
        _run("losetup", "--detach", self._device)

    def cut(self, servers: Sequence[Server]) -> None:
        """Cut the power of `servers`, which have all their data here."""
        for server in servers:
            server.pause()
        taken = self._file.with_name("taken")
        eventually(lambda: self._take(taken), "the kernel writes nothing while the file is taken")
        for server in servers:
            server.kill()
        self.unmount()
        taken.replace(self._file)
        self._mount()

    def _take(self, taken: Path) -> bool:
        """Copy the file as it is. Whether it stood still meanwhile."""
        before = self._written()
        _run("cp", "--sparse=always", self._file, taken)
        return before == self._written()

    def _written(self) -> tuple[str, str]:
        """(writes that have ended, those on their way), as the kernel counts them: Documentation/block/stat.rst."""
        counts = Path("/sys/block", Path(self._device).name, "stat").read_text().split()
        return (counts[4], counts[8])


def _run(*words: str | Path) -> str:
    """Run a program; what it says. Raises CalledProcessError, OSError."""
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    yield disk
    disk.unmount()


def test_a_cut_loses_what_was_not_synced_and_that_alone(disk: Disk) -> None:
    kept, lost = disk.root / "kept", disk.root / "lost"
    with kept.open("wb", buffering=0) as file:
        file.write(b"synced")
        os.fsync(file.fileno())
    lost.write_bytes(b"not synced")
    disk.cut([])
    assert kept.read_bytes() == b"synced"
    assert not lost.exists() or not lost.read_bytes()


@pytest.mark.parametrize("nodes", [1, 3])
def test_everything_is_there_after_power_cuts(nodes: int, disk: Disk, tmp_path: Path) -> None:
    """All nodes lose power at once. The log keeps 1 MiB: what it has dropped must be durable in the data."""
    rng = random.Random(nodes)
    data = {f"n{number}": disk.root / f"n{number}" for number in range(1, nodes + 1)}
    writers: list[Writer] = []
    with Cluster(tmp_path, nodes=nodes, groups=2, raft=small_log, data=data) as cluster:
        for number in range(cuts):
            long = Writer(cluster.servers, f"long{number}", value_bytes)
            short = Writer(cluster.servers, f"short{number}")
            writers += (long, short)
            with long, short:
                before = {server: first_index(server) for server in cluster.servers}
                for server, first in before.items():
                    eventually(partial(has_compacted, server, first), f"{server.name} compacts its log")
                time.sleep(rng.uniform(0, rest_s))
                disk.cut(cluster.servers)
            for server in cluster.servers:
                server.start()
            cluster.wait_ready()
            for writer in writers:
                writer.assert_all_there(cluster.servers)


def test_a_node_without_power_in_the_midst_of_a_snapshot_comes_back(disk: Disk, tmp_path: Path) -> None:
    """Its power is cut while a part of the snapshot is there, and again a moment after it was started anew."""
    rng = random.Random(4)
    with Cluster(tmp_path, groups=1, raft=small_log, data={"n3": disk.root / "n3"}) as cluster:
        cluster.wait_spread()
        node = cluster.nodes["n3"]
        others = cluster.others(node)
        for number in range(cuts):
            with Writer(others, f"missed{number}", value_bytes) as writer:
                writer.wait_for(40)
                missed = int(node.groups()[1]["last"])
                node.kill()
                writer.wait_for(300)
                for server in others:
                    eventually(partial(has_compacted, server, missed + 1), f"{server.name} compacts its log")
                for server in others:
                    cluster.network.let_through(server.name, node.name, part_bytes)
                node.start()
                eventually(
                    lambda: any(cluster.network.is_used_up(server.name, node.name) for server in others),
                    "a part of a snapshot has got through",
                )
                assert int(node.groups()[1]["applied"]) <= missed, "it was the whole"
                disk.cut([node])
                cluster.network.heal()
                node.start()
                eventually(lambda: node.call("ping") == b"PONG", "the node is up")
                time.sleep(rng.uniform(0, rest_s))
                disk.cut([node])
                node.start()
                cluster.wait_ready()
            cluster.wait_agreed()
            assert first_index(node) > missed + 1, "it did not come by a snapshot"
            writer.assert_all_there(cluster.servers)
            writer.assert_some_in_data_of(node)
