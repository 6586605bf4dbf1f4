"""Commands on keys of any type and on whole databases, on one group."""

from typing import Any

import pytest

import server.commands.expiry
import server.commands.keys
import server.commands.object_command  # noqa: F401  (declares its commands)
from resp.values import OK, Error, Simple
from server.keyspace.layout import Head
from server.keyspace.meta import DATABASES
from tests.server.harness import Group

SAME = Error(b"ERR source and destination objects are the same")
NO_SUCH_DB = Error(b"ERR DB index is out of range")
NOT_INTEGER = Error(b"ERR value is not an integer or out of range")
NOT_INT = Error(b"ERR value is out of range, value must between -2147483648 and 2147483647")


class Story:
    def setup_method(self) -> None:
        self.group = Group()

    def run(self, *args: str | bytes) -> Any:
        return self.group.run(*args)

    def head(self, key: bytes) -> Head | None:
        return self.group.begin().head(key)

    def size(self, db: int = 0) -> int:
        self.group.begin().select(db)
        return self.group.view.key_count()


class TestDelete(Story):
    @pytest.mark.parametrize("name", ["DEL", "UNLINK"])
    def test_each_key_counts_when_it_was_there(self, name: str) -> None:
        self.run("SET", "a", "1")
        self.run("SET", "b", "2")
        self.run("SET", "c", "3", "PX", "10")
        self.group.now_ms += 10
        assert self.run(name, "a", "nosuch", "a", "b", "c") == 2
        assert self.size() == 0

    def test_exists_and_touch_count_repeated_keys(self) -> None:
        self.run("SET", "a", "1")
        for name in ("EXISTS", "TOUCH"):
            assert self.run(name, "a", "nosuch", "a") == 2
            assert self.group.written == {}

    def test_type(self) -> None:
        self.run("SET", "a", "1")
        assert self.run("TYPE", "a") == Simple(b"string")
        assert self.run("TYPE", "nosuch") == Simple(b"none")


class TestRename(Story):
    def test_value_expiry_and_encoding_go_along(self) -> None:
        self.run("SET", "a", "1", "EX", "100")
        self.run("APPEND", "a", "2")
        before = self.head(b"a")
        assert before is not None
        assert self.run("RENAME", "a", "b") == OK
        after = self.head(b"b")
        assert after is not None
        assert after._replace(revision=before.revision) == before
        assert self.head(b"a") is None

    def test_what_was_there_is_gone_with_its_expiry(self) -> None:
        self.run("SET", "a", "1")
        self.run("SET", "b", "2", "EX", "100")
        self.run("RENAME", "a", "b")
        assert self.run("GET", "b") == b"1"
        assert self.size() == 1
        assert self.group.view.expires_count() == 0

    def test_onto_itself_is_fine_when_it_is_there(self) -> None:
        assert self.run("RENAME", "a", "a") == Error(b"ERR no such key")
        self.run("SET", "a", "1")
        assert self.run("RENAME", "a", "a") == OK
        assert self.group.written == {}
        assert self.run("RENAMENX", "a", "a") == 0

    def test_renamenx_leaves_what_is_there(self) -> None:
        self.run("SET", "a", "1")
        self.run("SET", "b", "2")
        assert self.run("RENAMENX", "a", "b") == 0
        assert self.run("GET", "b") == b"2"
        assert self.run("RENAMENX", "a", "c") == 1
        assert self.run("GET", "c") == b"1"
        assert self.run("RENAMENX", "nosuch", "d") == Error(b"ERR no such key")

    def test_a_key_past_its_time_is_no_obstacle_and_no_source(self) -> None:
        self.run("SET", "dead", "1", "PX", "10")
        self.run("SET", "a", "2")
        self.group.now_ms += 10
        assert self.run("RENAME", "dead", "b") == Error(b"ERR no such key")
        assert self.run("RENAMENX", "a", "dead") == 1
        assert self.run("GET", "dead") == b"2"


class TestCopy(Story):
    def test_the_copy_has_value_and_expiry_and_a_life_of_its_own(self) -> None:
        self.run("SET", "a", "1", "EX", "100")
        assert self.run("COPY", "a", "b") == 1
        self.run("SET", "a", "2")
        assert self.run("GET", "b") == b"1"
        head = self.head(b"b")
        assert head is not None
        assert head.expire_ms == self.group.now_ms + 100_000

    def test_only_replace_writes_over(self) -> None:
        self.run("SET", "a", "1")
        self.run("SET", "b", "2")
        assert self.run("COPY", "a", "b") == 0
        assert self.run("GET", "b") == b"2"
        assert self.run("COPY", "a", "b", "replace") == 1
        assert self.run("GET", "b") == b"1"
        assert self.run("COPY", "nosuch", "b", "REPLACE") == 0
        assert self.run("GET", "b") == b"1"

    def test_into_another_database(self) -> None:
        self.run("SET", "a", "1")
        assert self.run("COPY", "a", "a", "DB", "3") == 1
        assert self.run("COPY", "a", "a", "DB", "3") == 0
        assert (self.size(0), self.size(3), self.size(1)) == (1, 1, 0)
        self.group.db = 3
        assert self.run("GET", "a") == b"1"

    @pytest.mark.parametrize("options", [[], ["REPLACE"], ["DB", "0"]], ids=" ".join)
    def test_onto_itself_is_an_error_even_when_missing(self, options: list[str]) -> None:
        assert self.run("COPY", "a", "a", *options) == SAME

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            (["DB"], Error(b"ERR syntax error")),
            (["DB", "16"], NO_SUCH_DB),
            (["DB", "-1"], NO_SUCH_DB),
            (["DB", "x"], NOT_INTEGER),
            (["DB", "99999999999"], NOT_INT),
            (["BOGUS"], Error(b"ERR syntax error")),
        ],
        ids=repr,
    )
    def test_bad_options_are_told(self, options: list[str], error: Error) -> None:
        self.run("SET", "a", "1")
        assert self.run("COPY", "a", "b", *options) == error


class TestMove(Story):
    def test_a_key_goes_to_another_database(self) -> None:
        self.run("SET", "a", "1", "EX", "100")
        assert self.run("MOVE", "a", "2") == 1
        assert (self.size(0), self.size(2)) == (0, 1)
        assert self.group.view.expires_count() == 1
        self.group.db = 2
        assert self.run("GET", "a") == b"1"

    def test_it_stays_when_one_is_there_already(self) -> None:
        self.run("SET", "a", "1")
        self.group.db = 2
        self.run("SET", "a", "2")
        self.group.db = 0
        assert self.run("MOVE", "a", "2") == 0
        assert self.run("GET", "a") == b"1"
        assert self.run("MOVE", "nosuch", "2") == 0

    @pytest.mark.parametrize(
        ("db", "error"),
        [("0", SAME), ("16", NO_SUCH_DB), ("-1", NO_SUCH_DB), ("x", NOT_INTEGER), ("99999999999", NOT_INT)],
    )
    def test_where_it_can_not_go(self, db: str, error: Error) -> None:
        assert self.run("MOVE", "nosuch", db) == error


class TestDatabases(Story):
    def fill(self) -> None:
        for db in range(DATABASES):
            self.group.db = db
            for number in range(db + 1):
                self.run("SET", b"%d" % number, "v")
        self.group.db = 0

    def sizes(self) -> list[int]:
        return [self.size(db) for db in range(DATABASES)]

    def test_flushdb_empties_one(self) -> None:
        self.fill()
        self.group.db = 3
        assert self.run("FLUSHDB") == OK
        assert self.sizes() == [0 if db == 3 else db + 1 for db in range(DATABASES)]
        assert self.run("GET", "0") is None

    def test_flushall_empties_all(self) -> None:
        self.fill()
        assert self.run("FLUSHALL", "ASYNC") == OK
        assert self.sizes() == [0] * DATABASES

    @pytest.mark.parametrize("name", ["FLUSHDB", "FLUSHALL"])
    def test_a_mode_that_is_none_flushes_nothing(self, name: str) -> None:
        self.fill()
        for options in (["now"], ["ASYNC", "SYNC"], [""]):
            assert self.run(name, *options) == Error(b"ERR syntax error")
        assert self.sizes() == [db + 1 for db in range(DATABASES)]

    def test_swapdb_changes_the_contents_over(self) -> None:
        self.fill()
        assert self.run("SWAPDB", "0", "5") == OK
        assert (self.size(0), self.size(5)) == (6, 1)
        assert self.run("GET", "5") == b"v"
        assert self.run("SWAPDB", "5", "0") == OK
        assert self.sizes() == [db + 1 for db in range(DATABASES)]

    def test_swapdb_with_itself_writes_nothing(self) -> None:
        assert self.run("SWAPDB", "3", "3") == OK
        assert self.group.written == {}

    @pytest.mark.parametrize(
        ("first", "second", "error"),
        [
            ("x", "y", Error(b"ERR invalid first DB index")),
            ("99999999999", "0", Error(b"ERR invalid first DB index")),
            ("16", "x", Error(b"ERR invalid second DB index")),
            ("0", "16", NO_SUCH_DB),
            ("-1", "0", NO_SUCH_DB),
        ],
    )
    def test_swapdb_names_the_index_that_is_wrong(self, first: str, second: str, error: Error) -> None:
        assert self.run("SWAPDB", first, second) == error

    def test_dbsize_counts_the_clients_database(self) -> None:
        self.fill()
        self.group.db = 7
        assert self.run("DBSIZE") == 8


class TestObject(Story):
    def encoding(self, key: str = "k") -> Any:
        return self.run("OBJECT", "ENCODING", key)

    @pytest.mark.parametrize(
        ("value", "encoding"),
        [
            ("0", b"int"),
            ("-5", b"int"),
            ("9223372036854775807", b"int"),
            ("9223372036854775808", b"embstr"),
            ("-0", b"embstr"),
            ("00", b"embstr"),
            ("", b"embstr"),
            ("x" * 112, b"embstr"),
            ("x" * 113, b"raw"),
        ],
    )
    def test_a_value_that_was_set_shows_by_its_looks(self, value: str, encoding: bytes) -> None:
        self.run("SET", "k", value)
        assert self.encoding() == encoding

    def test_the_key_takes_of_the_space_for_embedding(self) -> None:
        for key_bytes, value_bytes_max in ((31, 82), (32, 79), (100, 11)):
            key = "k" * key_bytes
            self.run("SET", key, "x" * value_bytes_max)
            assert self.encoding(key) == b"embstr"
            self.run("SET", key, "x" * (value_bytes_max + 1))
            assert self.encoding(key) == b"raw"

    def test_a_value_that_was_changed_in_place_is_raw(self) -> None:
        self.run("SET", "k", "1")
        self.run("APPEND", "k", "2")
        assert self.encoding() == b"raw"
        self.run("INCR", "k")
        assert self.encoding() == b"int"
        self.run("INCRBYFLOAT", "k", "1")
        assert self.encoding() == b"embstr"

    def test_there_are_no_shared_values(self) -> None:
        self.run("SET", "k", "1")
        assert self.run("OBJECT", "REFCOUNT", "k") == 1

    @pytest.mark.parametrize("name", ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"])
    def test_of_no_key_there_is_nothing_to_say(self, name: str) -> None:
        assert self.run("OBJECT", name, "nosuch") is None

    def test_memory_grows_with_key_value_and_expiry(self) -> None:
        self.run("SET", "k", "v")
        small = self.run("MEMORY", "USAGE", "k")
        self.run("SET", "k", "v" * 1001)
        assert self.run("MEMORY", "USAGE", "k", "SAMPLES", "0") == small + 1000
        self.run("EXPIRE", "k", "100")
        assert self.run("MEMORY", "USAGE", "k") > small + 1000
        assert self.run("MEMORY", "USAGE", "nosuch") is None

    @pytest.mark.parametrize(
        "options", [["SAMPLES"], ["SAMPLES", "-1"], ["BOGUS", "1"], ["BOGUS"]], ids=" ".join
    )
    def test_memory_usage_refuses_other_options(self, options: list[str]) -> None:
        assert self.run("MEMORY", "USAGE", "k", *options) == Error(b"ERR syntax error")
