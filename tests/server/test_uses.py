"""When keys were used last, and how often: what OBJECT IDLETIME and FREQ say."""

from types import SimpleNamespace
from typing import Any

import pytest

import server.commands.expiry  # noqa: F401  (declares its commands)
from resp.values import Error
from server.keyspace.hot import HotReplies
from server.keyspace.limits import Limits
from server.keyspace.uses import LastUses
from server.shard.clock import TurnClock
from server.shard.periods import Periods, found_per_s
from tests.server.harness import Group

LARGE = "x" * 2000


class Story:
    """A key that was used two seconds ago."""

    def setup_method(self) -> None:
        self.group = Group()
        self.run("SET", "k", "1")
        self.pass_s(2)

    def run(self, *args: str) -> Any:
        return self.group.run(*args)

    def pass_s(self, seconds: float) -> None:
        """A period ends, and then nothing is used for so long."""
        self.group.view.end_period(self.group.now_ms)
        self.group.now_ms += int(seconds * 1000)

    def idle_s(self, key: str = "k") -> Any:
        return self.run("OBJECT", "IDLETIME", key)


class TestIdleTime(Story):
    @pytest.mark.parametrize(
        "request_",
        ["GET k", "APPEND k x", "SET k v", "MSET k v", "TOUCH k", "EXPIRE k 9", "DUMP k", "STRLEN k", f"SET k {LARGE}"],
    )  # fmt: skip
    def test_who_uses_a_key_ends_its_idle_time(self, request_: str) -> None:
        assert self.idle_s() == 2
        self.run(*request_.split())
        assert self.idle_s() == 0
        self.pass_s(1.5)
        assert self.idle_s() == 1

    @pytest.mark.parametrize(
        "request_",
        ["EXISTS k", "TYPE k", "TTL k", "PEXPIRETIME k", "OBJECT ENCODING k", "MEMORY USAGE k", "GET other"],
    )
    def test_who_asks_about_a_key_does_not_use_it(self, request_: str) -> None:
        self.run(*request_.split())
        self.pass_s(1)
        assert self.idle_s() == 3

    def test_a_value_too_large_to_be_kept_at_hand_is_used_as_others_are(self) -> None:
        self.run("SET", "k", LARGE)
        self.pass_s(3)
        self.run("EXISTS", "k")
        assert self.idle_s() == 3
        self.run("GET", "k")
        assert self.idle_s() == 0
        self.pass_s(1)
        assert self.idle_s() == 1

    def test_what_one_command_wrote_much_of_was_used(self) -> None:
        keys = [f"k{number}" for number in range(5000)]
        self.run("MSET", *(word for key in keys for word in (key, "v")))
        self.pass_s(1)
        assert self.idle_s(keys[0]) <= 1

    def test_databases_that_change_places_take_it_along(self) -> None:
        self.run("SWAPDB", "0", "1")
        self.pass_s(1)
        self.group.db = 1
        assert self.idle_s() == 3

    def test_before_a_period_has_ended_nothing_is_said_of_what_was_before(self) -> None:
        group = Group()
        group.run("SET", "k", "1")
        group.run("GET", "other")
        group.now_ms += 9000
        assert group.run("OBJECT", "IDLETIME", "k") == 0


class TestFrequency(Story):
    def setup_method(self) -> None:
        super().setup_method()
        self.group.view.limits = Limits(maxmemory_policy=b"allkeys-lfu")

    def count(self, key: str = "k") -> Any:
        return self.run("OBJECT", "FREQ", key)

    def test_either_is_told_by_the_policy(self) -> None:
        assert self.idle_s().text.startswith(b"ERR An LFU maxmemory policy is selected, ")
        assert self.count() == 5
        self.group.view.limits = Limits(maxmemory_policy=b"allkeys-lru")
        assert self.idle_s() == 2
        assert isinstance(self.count(), Error)

    def test_it_grows_with_use_and_ends_without(self) -> None:
        for _ in range(100):
            self.run("GET", "k")
            self.pass_s(1)
        grown = self.count()
        assert 6 < grown < 20, "as a logarithm does"
        self.pass_s(60)
        assert self.count() == grown - 1
        self.pass_s(3600)
        assert self.count() == 0


def test_what_is_too_much_is_as_old_as_the_notes() -> None:
    uses = LastUses(2)

    def pass_period(end_ms: int, *keys: bytes) -> None:
        uses.note(keys)
        uses.end_period(end_ms)

    assert uses.find(b"never", 90) == 90
    pass_period(100, b"a")
    assert uses.find(b"a", 900) == uses.find(b"never", 900) == 100
    pass_period(110, b"a", b"b")
    pass_period(120, b"c")
    assert (uses.find(b"b", 900), uses.find(b"c", 900), uses.find(b"never", 900)) == (110, 120, 100)
    pass_period(130, b"d", b"e")
    pass_period(140, b"f")
    assert (uses.find(b"f", 900), uses.find(b"a", 900)) == (140, 130), (
        "of what was before 130 nothing is known"
    )
    pass_period(150, b"d", b"e", b"f")
    assert uses.find(b"d", 900) == uses.find(b"a", 900) == 150, "and here it was too much at once"


class FakeView:
    """So many keys were used."""

    def __init__(self, used: int) -> None:
        self.used = used

    def used_count(self) -> int:
        return self.used

    def end_period(self, now_ms: int) -> None:
        self.used = 0


def test_the_more_is_used_the_longer_a_period_lasts() -> None:
    hot, clock, view = HotReplies(1, 10), TurnClock(), FakeView(found_per_s)
    shards: Any = {
        1: SimpleNamespace(ready=True, evaluator=SimpleNamespace(view=view)),
        2: SimpleNamespace(ready=False),
    }
    periods = Periods(hot, shards, clock)
    hot.keep(0, b"k", b"$1\r\nv\r\n")
    clock.steady_s += 1
    periods.check()
    assert (view.used, len(hot.databases[0])) == (found_per_s, 1), "one key too many for a second"
    clock.steady_s += 1
    periods.check()
    assert (view.used, len(hot.databases[0])) == (0, 0)
