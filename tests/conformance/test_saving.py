"""INFO counts what has changed since the last SAVE, and LASTSAVE says when that was: as a real Valkey does."""

import re
import time

import pytest

from tests.conformance.harness.servers import HOST, Server, flush
from tests.conformance.harness.wire import Connection

STORY = (
    *("SETBIT k 0 0", "SETBIT k 0 0", "SETBIT k 0 1", "SETBIT k 90 0", "GETBIT k 0", "BITFIELD f SET i5 0 0"),
    *(
        "BITFIELD f SET i5 0 0",
        "BITFIELD f INCRBY i5 0 1",
        "GET k",
        "INCR n",
        "DEL nosuch",
        "SADD s a",
        "SADD s a",
    ),
    *("SREM s b", "HSET h f v", "SAVE", "SET k v", "BGSAVE", "LPUSH l 1", "LRANGE l 0 -1", "LPOP l"),
)


@pytest.fixture(params=["valkey", "standalone"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    flush(found)
    return found


def changes(connection: Connection) -> int:
    """Since the last save, when none is going on any more."""
    while True:
        text = connection.ask("INFO", "persistence").value.decode()
        fields = dict(re.findall(r"^(rdb_\w+):(\d+)", text, re.MULTILINE))
        if fields["rdb_bgsave_in_progress"] == "0":
            return int(fields["rdb_changes_since_last_save"])
        time.sleep(0.01)


def test_each_change_is_counted_until_it_is_saved(server: Server) -> None:
    with Connection(HOST, server.port) as connection:
        connection.ask("SAVE")
        found = []
        for line in STORY:
            connection.ask(*line.split())
            found.append((line, changes(connection)))
    assert found == list(
        zip(STORY, [1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 8, 0, 1, 0, 1, 1, 2], strict=True)
    )


def test_lastsave_is_when_it_was_saved(server: Server) -> None:
    with Connection(HOST, server.port) as connection:
        before = connection.ask("LASTSAVE")
        time.sleep(1.1)
        assert connection.ask("LASTSAVE") == before
        connection.ask("SAVE")
        saved = connection.ask("LASTSAVE")
        assert saved.value > before.value
        assert b"\r\nrdb_last_save_time:%d\r\n" % saved.value in connection.ask("INFO", "persistence").value
