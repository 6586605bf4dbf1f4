"""Users that the configuration names, the file of ACL LOAD and SAVE, and what outlives a restart."""

from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

from tests.ports import free_port
from tests.processes.harness import Cluster, Server, eventually, ready


class One:
    """A standalone node with an [acl] table."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.config = directory / "one.toml"
        self.file = directory / "users.acl"
        data = directory / "data"
        self.server = Server("one", self.port, ["serve", str(self.config)], directory / "log", data)

    def start(self, *lines: str) -> None:
        data = f'[nodes.one]\nport = {self.port}\ndata = "{self.server.data}"\n'
        self.config.write_text(data + "\n".join(["[storage]", "disk_free_min_mb = 0", *lines]) + "\n")
        self.server.start()

    def run(self, *lines: str) -> None:
        self.start(*lines)
        eventually(lambda: ready(self.server), "it is ready")

    def users(self) -> list[bytes]:
        return list(self.server.call("acl", "list"))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[One]:
    node = One(tmp_path)
    yield node
    node.server.reap()


def test_users_of_the_configuration_and_what_has_become_of_them(one: One) -> None:
    lines = ["[acl]", "users = '''", "user ann on >pw ~a* +@all", "user bob on nopass", "'''"]
    one.run(*lines)
    assert [line.split()[1] for line in one.users()] == [b"ann", b"bob", b"default"]
    one.server.call("acl", "setuser", "ann", "resetkeys", "~b*")
    one.server.call("acl", "setuser", "carl", "on", ">secret", "+@all", "~*")
    assert one.server.call("acl", "deluser", "bob") == 1
    assert one.server.call("acl", "deluser", "bob") == 0
    changed = one.users()
    assert one.server.stop() == 0
    one.run(*lines)
    assert one.users() == changed
    with one.server.client() as client:
        assert client.call("auth", "carl", "secret") == b"OK"
        assert isinstance(client.call("publish", "c", "m"), hiredis.ReplyError)
    one.server.kill()
    one.run(*lines, "ignore_stored = true")
    assert [line.split()[1] for line in one.users()] == [b"ann", b"bob", b"default"]


def test_a_file_is_loaded_and_saved(one: One) -> None:
    one.file.write_text("user ann on nopass ~a +@all\nuser bob on nopass +@all\n")
    one.run("[acl]", f'file = "{one.file}"')
    with one.server.client() as ann, one.server.client() as bob:
        assert ann.call("auth", "ann", "x") == b"OK"
        assert bob.call("auth", "bob", "x") == b"OK"
        one.server.call("acl", "setuser", "carl", "on", ">secret")
        assert one.server.call("acl", "save") == b"OK"
        assert one.file.read_bytes().splitlines() == one.users()
        one.file.write_text("user ann on nopass ~a -@all +get\n")
        assert one.server.call("acl", "load") == b"OK"
        assert "NOPERM" in str(ann.call("ping"))
        assert ann.call("get", "a") is None
        eventually(lambda: one.server.call("client", "list").count(b"user=bob") == 0, "bob is gone")
        assert [line.split()[1] for line in one.users()] == [b"ann", b"default"]
    one.file.write_text("user ann on\nnonsense\n")
    refused = str(one.server.call("acl", "load"))
    assert refused.startswith(
        f"ERR {one.file}:2 should start with user keyword followed by the username. WARNING"
    )
    assert [line.split()[1] for line in one.users()] == [b"ann", b"default"]
    one.file.unlink()
    refused = str(one.server.call("acl", "load"))
    assert refused == f"ERR Error loading ACLs, opening file '{one.file}': No such file or directory"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (['users = "user ann +nosuch"'], "Unknown command or category name"),
        (['file = "/nowhere/at.all"'], "acl.file: /nowhere/at.all can not be read"),
        (['users = "user ann"', 'file = "x"'], "give the users here or in acl.file, not both"),
    ],
)
def test_a_node_does_not_start_with_users_that_make_no_sense(
    one: One, lines: list[str], problem: str
) -> None:
    one.start("[acl]", *lines)
    assert one.server.wait() == 1
    assert problem in one.server.log


def test_users_of_a_cluster_outlive_the_leader_and_come_to_a_node_that_was_away(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        away, here, third = cluster.servers
        away.kill()
        eventually(
            lambda: here.call("acl", "setuser", "ann", "on", ">pw", "~*", "+@all") == b"OK", "a leader"
        )
        assert here.call("auth", "ann", "pw") == b"OK"
        eventually(lambda: third.call("auth", "ann", "pw") == b"OK", "the other node knows her")
        away.start()
        eventually(lambda: away.call("auth", "ann", "pw") == b"OK", "so does the one that was away")
        here.kill()
        # 0: it was done, and who asked was told that nobody knows.
        eventually(lambda: away.call("acl", "deluser", "ann") in (0, 1), "the others can go on")
        eventually(lambda: "WRONGPASS" in str(third.call("auth", "ann", "pw")), "gone everywhere")
        here.start()
        eventually(lambda: "WRONGPASS" in str(here.call("auth", "ann", "pw")), "here too")
