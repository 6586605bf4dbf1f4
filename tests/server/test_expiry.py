"""The EXPIRE and TTL families, PERSIST, to the millisecond."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.commands.expiry
import server.commands.keys  # noqa: F401  (declares its commands)
from resp.values import Error
from server.types.expiry import Condition, holds
from tests.server.harness import Group

INT64_MAX = 2**63 - 1


class Story:
    """A key `k` without expiry."""

    def setup_method(self) -> None:
        self.group = Group()
        self.group.run("SET", "k", "v")

    def run(self, *args: str | bytes) -> Any:
        return self.group.run(*args)

    def expires_at(self) -> int:
        return int(self.run("PEXPIRETIME", "k"))


class TestExpire(Story):
    def test_the_four_commands_differ_in_unit_and_base(self) -> None:
        now_ms = self.group.now_ms
        for name, amount, expected_ms in (
            ("EXPIRE", 7, now_ms + 7000),
            ("PEXPIRE", 7, now_ms + 7),
            ("EXPIREAT", 4_000_000_000, 4_000_000_000_000),
            ("PEXPIREAT", 4_000_000_000_007, 4_000_000_000_007),
        ):
            assert self.run(name, "k", str(amount)) == 1
            assert self.expires_at() == expected_ms

    def test_the_value_and_its_encoding_stay(self) -> None:
        self.run("APPEND", "k", "alue")
        before = self.group.begin().head(b"k")
        self.run("EXPIRE", "k", "10")
        after = self.group.begin().head(b"k")
        assert before is not None
        assert after is not None
        assert after._replace(expire_ms=0, revision=before.revision) == before
        assert after.revision > before.revision

    def test_a_missing_key_is_left_missing(self) -> None:
        assert self.run("EXPIRE", "nosuch", "10") == 0
        assert self.run("EXISTS", "nosuch") == 0

    @pytest.mark.parametrize("name", ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"])
    @pytest.mark.parametrize("amount", ["0", "-1", "-9223372036854775"])
    def test_a_time_that_is_not_in_the_future_deletes(self, name: str, amount: str) -> None:
        assert self.run(name, "k", amount) == 1
        assert self.group.begin().key_count() == 0

    def test_this_very_millisecond_is_not_in_the_future(self) -> None:
        assert self.run("PEXPIREAT", "k", str(self.group.now_ms)) == 1
        assert self.run("EXISTS", "k") == 0

    @pytest.mark.parametrize(
        ("name", "amount"),
        [
            ("EXPIRE", "9223372036854775"),  # in range, but not from now
            ("EXPIRE", "9223372036854776"),
            ("EXPIRE", "-9223372036854776"),
            ("EXPIREAT", "9223372036854776"),
            ("PEXPIRE", "9223372036854775807"),
        ],
    )
    def test_times_past_64_bits_are_refused(self, name: str, amount: str) -> None:
        error = Error(b"ERR invalid expire time in '%b' command" % name.lower().encode())
        assert self.run(name, "k", amount) == error
        assert self.run(name, "nosuch", amount) == error
        assert self.run("TTL", "k") == -1

    def test_the_last_millisecond_of_64_bits_can_be_set(self) -> None:
        assert self.run("PEXPIREAT", "k", str(INT64_MAX)) == 1
        assert self.expires_at() == INT64_MAX
        assert self.run("PTTL", "k") == INT64_MAX - self.group.now_ms

    def test_options_are_read_before_the_time(self) -> None:
        assert self.run("EXPIRE", "k", "abc", "BOGUS") == Error(b"ERR Unsupported option BOGUS")
        assert self.run("EXPIRE", "k", "abc", "NX") == Error(b"ERR value is not an integer or out of range")

    @pytest.mark.parametrize("others", [["XX"], ["GT"], ["LT"], ["XX", "GT", "LT"]], ids=" ".join)
    def test_nx_goes_with_nothing_else(self, others: list[str]) -> None:
        text = b"ERR NX and XX, GT or LT options at the same time are not compatible"
        assert self.run("EXPIRE", "k", "10", "NX", *others) == Error(text)
        assert self.run("EXPIRE", "k", "10", *others, "nx") == Error(text)

    def test_gt_does_not_go_with_lt(self) -> None:
        text = b"ERR GT and LT options at the same time are not compatible"
        assert self.run("EXPIRE", "k", "10", "GT", "LT") == Error(text)

    def test_a_condition_that_fails_changes_nothing(self) -> None:
        assert self.run("EXPIRE", "k", "10", "XX") == 0
        assert self.group.written == {}
        self.run("EXPIRE", "k", "10")
        assert self.run("EXPIRE", "k", "-5", "GT") == 0
        assert self.run("TTL", "k") == 10

    def test_an_earlier_time_in_the_past_deletes_too(self) -> None:
        assert self.run("EXPIRE", "k", "-5", "LT") == 1
        assert self.run("EXISTS", "k") == 0


@given(old_ms=st.integers(1, 100), new_ms=st.integers(-100, 200))
def test_conditions_compare_with_the_old_expiry(old_ms: int, new_ms: int) -> None:
    assert holds(Condition.ALWAYS, old_ms, new_ms)
    assert not holds(Condition.NX, old_ms, new_ms)
    assert holds(Condition.XX, old_ms, new_ms)
    assert holds(Condition.GT, old_ms, new_ms) == (new_ms > old_ms)
    assert holds(Condition.LT, old_ms, new_ms) == (new_ms < old_ms)
    assert holds(Condition.XX | Condition.LT, old_ms, new_ms) == (new_ms < old_ms)


@given(new_ms=st.integers(-100, 200))
def test_no_expiry_is_later_than_any(new_ms: int) -> None:
    assert holds(Condition.NX, 0, new_ms)
    assert not holds(Condition.XX, 0, new_ms)
    assert not holds(Condition.GT, 0, new_ms)
    assert holds(Condition.LT, 0, new_ms)
    assert not holds(Condition.XX | Condition.LT, 0, new_ms)


class TestTimeToLive(Story):
    @pytest.mark.parametrize("name", ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"])
    def test_no_key_and_no_expiry_have_codes(self, name: str) -> None:
        assert self.run(name, "nosuch") == -2
        assert self.run(name, "k") == -1

    def test_seconds_are_rounded_to_the_nearest(self) -> None:
        for left_ms, seconds in ((1, 0), (499, 0), (500, 1), (1499, 1), (1500, 2)):
            self.run("PEXPIRE", "k", str(left_ms))
            assert self.run("TTL", "k") == seconds
            assert self.run("PTTL", "k") == left_ms

    def test_the_time_of_the_end_is_rounded_alike(self) -> None:
        self.run("PEXPIREAT", "k", "4000000000499")
        assert self.run("EXPIRETIME", "k") == 4_000_000_000
        self.run("PEXPIREAT", "k", "4000000000500")
        assert self.run("EXPIRETIME", "k") == 4_000_000_001

    def test_it_runs_down_and_the_key_is_gone_at_zero(self) -> None:
        self.run("PEXPIRE", "k", "10")
        self.group.now_ms += 9
        assert self.run("PTTL", "k") == 1
        self.group.now_ms += 1
        assert self.run("PTTL", "k") == -2


class TestPersist(Story):
    def test_persist_takes_the_expiry_away_once(self) -> None:
        self.run("EXPIRE", "k", "10")
        assert self.run("PERSIST", "k") == 1
        assert self.run("TTL", "k") == -1
        assert self.group.begin().expires_count() == 0
        assert self.run("PERSIST", "k") == 0
        assert self.group.written == {}

    def test_persist_does_not_bring_a_key_back(self) -> None:
        self.run("PEXPIRE", "k", "10")
        self.group.now_ms += 10
        assert self.run("PERSIST", "k") == 0
        assert self.run("EXISTS", "k") == 0
