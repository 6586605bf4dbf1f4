"""What MIGRATE asks the leader of a key."""

import server.commands.dump
import server.commands.migrate  # noqa: F401
from tests.server.harness import Group


def test_what_was_read_is_deleted_and_nothing_newer() -> None:
    group = Group()
    assert group.run("_migrate_read", "k") is None
    group.run("SET", "k", "v", "PX", "5000")
    revision, ttl_ms, payload = group.run("_migrate_read", "k")
    assert ttl_ms == 5000
    group.run("APPEND", "k", "w")
    assert group.run("_migrate_delete", "k", str(revision)) is False
    assert group.run("GET", "k") == b"vw"
    newer = group.run("_migrate_read", "k")[0]
    assert newer != revision
    assert group.run("_migrate_delete", "k", str(newer)) is True
    assert group.run("EXISTS", "k") == 0
    assert group.run("_migrate_delete", "k", str(newer)) is False
    assert group.run("RESTORE", "copy", "0", payload).text == b"OK"
    assert group.run("GET", "copy") == b"v"
