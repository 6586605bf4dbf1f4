"""A leader that has been replaced without noticing does not answer from what it remembers.

The chaos tests look for the same thing with many clients; here the question is put at the one moment when it
matters: right after another leader has acknowledged a newer value.
"""

from collections.abc import Iterator
from contextlib import suppress

import hiredis
import pytest

from tests.processes.client import ConnectionLost
from tests.processes.harness import Cluster, Server, eventually, key_of

times = 3
patience_s = 0.5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("stale"), groups=1) as cluster:
        yield cluster


def not_stale(reply: object, newest: int) -> bool:
    """The newest value, or an error."""
    return isinstance(reply, hiredis.ReplyError) or reply == str(newest).encode()


def write(server: Server, key: str, value: int) -> None:
    """Write through `server` until that is acknowledged. A try that was sent to the former leader waits for it:
    ask anew."""

    def acknowledged() -> bool:
        return bool(server.call("set", key, value, timeout_s=4 * patience_s) == b"OK")

    eventually(acknowledged, "another leader takes writes")


@pytest.mark.parametrize("cut_off", ["isolate", "mute"])
def test_a_leader_that_is_cut_off_does_not_answer_with_what_was(cut_off: str, cluster: Cluster) -> None:
    key = key_of(1, of=1)
    with cluster.logs_on_failure():
        for number in range(times):
            cluster.wait_ready()
            former = cluster.leader(1)
            other = cluster.others(former)[0]
            assert other.call("set", key, number) == b"OK"
            with former.client(timeout_s=patience_s) as reader:
                getattr(cluster.network, cut_off)(former.name)
                try:
                    write(other, key, number + 1)
                    with suppress(ConnectionLost):  # no answer is right too
                        reply = reader.call("get", key)
                        assert not_stale(reply, number + 1), reply
                finally:
                    cluster.network.heal()


def test_a_leader_that_was_paused_does_not_answer_with_what_was(cluster: Cluster) -> None:
    """The question waits in its socket when it wakes up, beside the messages that tell it of its successor."""
    key = key_of(1, of=1)
    with cluster.logs_on_failure():
        for number in range(times):
            cluster.wait_ready()
            former = cluster.leader(1)
            other = cluster.others(former)[0]
            assert other.call("set", key, number) == b"OK"
            readers = [former.client() for _ in range(20)]
            former.pause()
            try:
                write(other, key, number + 1)
                for reader in readers:
                    reader.send(("get", key))
            finally:
                former.resume()
            for reader in readers:
                reply = reader.receive()
                assert not_stale(reply, number + 1), reply
                reader.close()
