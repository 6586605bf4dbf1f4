"""What an operation costs hangs on the elements it touches, not on those that are there: records read and written are
counted, at a thousand elements and at many more. No clock is looked at.

Most operations touch as many whatever the size. What goes by rank walks down an index, one node of some records for
each of its levels, of which there is one more for every 250 times as many members: O(log n).

REDRAFT_COST_ELEMENTS=1000000 makes the large one really large; that takes some minutes.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from math import ceil, log
from random import Random

import pytest

from server.commands import all as all_commands
from server.keyspace.store import MemoryStore
from server.keyspace.view import View
from server.types import lists, zsets
from server.types.rank_index import ELEMENTS, NODES
from tests.server.harness import Group

assert all_commands.loaded

SMALL = 1000
LARGE = int(os.environ.get("REDRAFT_COST_ELEMENTS", "16000"))
CHUNK = 4000
TIMES = 20


class CountingStore(MemoryStore):
    """One that counts the records that it gives; its keys are sorted when somebody asks for a range."""

    def __init__(self) -> None:
        super().__init__()
        self.records = 0
        self._unsorted = False

    def get(self, key: bytes) -> bytes | None:
        self.records += 1
        return self._values.get(key)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        keys = self._sorted()
        places = range(bisect_left(keys, start), bisect_left(keys, stop))
        for at in reversed(places) if reverse else places:
            self.records += 1
            yield keys[at], self._values[keys[at]]

    def _sorted(self) -> list[bytes]:
        if self._unsorted:
            self._keys = sorted(self._values)
            self._unsorted = False
        return self._keys

    def write(self, effects: dict[bytes, bytes | None]) -> None:
        self.records += len(effects)
        if self._unsorted or len(effects) > CHUNK:
            self._unsorted = True
            self._values |= {key: value for key, value in effects.items() if value is not None}
            for key in [key for key, value in effects.items() if value is None]:
                self._values.pop(key, None)
            return
        super().write(effects)


class UnmergedStore(CountingStore):
    """One that keeps what was deleted, and counts it when a scan walks over it, as LevelDB does until it merges."""

    def __init__(self) -> None:
        super().__init__()
        self._gone: set[bytes] = set()

    def get(self, key: bytes) -> bytes | None:
        found = super().get(key)
        return None if key in self._gone else found

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        keys = self._sorted()
        at = bisect_left(keys, stop) - 1 if reverse else bisect_left(keys, start)
        while 0 <= at < len(keys):
            key = keys[at]
            self.records += 1
            if key not in self._gone:
                if not start <= key < stop:
                    return
                yield key, self._values[key]
            at += -1 if reverse else 1

    def write(self, effects: dict[bytes, bytes | None]) -> None:
        for key, value in effects.items():
            if value is None:
                self._gone.add(key)
            else:
                self._gone.discard(key)
        super().write({key: value or b"" for key, value in effects.items()})


class Counted(Group):
    """A group over a CountingStore."""

    def __init__(self, store: CountingStore | None = None) -> None:
        super().__init__()
        self.counting = store or CountingStore()
        self.store = self.counting
        self.view._base = self.counting

    def cost(self, *args: str) -> int:
        """Records that a request reads and writes."""
        before = self.counting.records
        self.run(*args)
        return self.counting.records - before


def filled(count: int) -> Counted:
    """A key of each type with `count` elements: h, s, z, l, x."""
    group = Counted()
    order = list(range(count))
    Random(1).shuffle(order)
    for start in range(0, count, CHUNK):
        chunk = order[start : start + CHUNK]
        group.run("HSET", "h", *(word for number in chunk for word in (f"m{number}", "value")))
        group.run("SADD", "s", *(f"m{number}" for number in chunk))
        group.run(
            "ZADD", "z", *(word for number in chunk for word in (str(number * 7 % count), f"m{number}"))
        )
        group.run("RPUSH", "l", *(f"m{number}" for number in chunk))
        for number in range(start, start + len(chunk)):
            group.run("XADD", "x", f"{number + 1}-0", "f", "value")
    return group


@pytest.fixture(scope="module")
def small() -> Counted:
    return filled(SMALL)


@pytest.fixture(scope="module")
def large() -> Counted:
    return filled(LARGE)


def average(group: Counted, count: int, make: Callable[[Random, int, int], list[str]]) -> float:
    rng = Random(2)
    return sum(group.cost(*make(rng, count, number)) for number in range(TIMES)) / TIMES


@pytest.mark.parametrize(
    "make",
    [
        lambda rng, count, n: ["HSET", "h", f"new{n}", "value"],
        lambda rng, count, n: ["HSET", "h", f"m{rng.randrange(count)}", "other"],
        lambda rng, count, n: ["HGET", "h", f"m{rng.randrange(count)}"],
        lambda rng, count, n: ["HDEL", "h", f"new{n}"],
        lambda rng, count, n: ["HRANDFIELD", "h"],
        lambda rng, count, n: ["SADD", "s", f"new{n}"],
        lambda rng, count, n: ["SISMEMBER", "s", f"m{rng.randrange(count)}"],
        lambda rng, count, n: ["SPOP", "s"],
        lambda rng, count, n: ["ZSCORE", "z", f"m{rng.randrange(count)}"],
        lambda rng, count, n: ["RPUSH", "l", "value"],
        lambda rng, count, n: ["LPOP", "l"],
        lambda rng, count, n: ["LINDEX", "l", str(rng.randrange(count))],
        lambda rng, count, n: ["XADD", "x", f"{10**9 + n}-0", "f", "value"],
        lambda rng, count, n: ["XRANGE", "x", f"{rng.randrange(count // 2) + 1}", "+", "COUNT", "10"],
        lambda rng, count, n: ["XDEL", "x", f"{10**9 + n}-0"],
    ],
    ids=lambda make: " ".join(make(Random(0), 9, 0)[:1]),
)
def test_it_touches_no_more_of_a_large_one(
    small: Counted, large: Counted, make: Callable[[Random, int, int], list[str]]
) -> None:
    assert average(large, LARGE, make) <= 1.5 * average(small, SMALL, make)


@pytest.mark.parametrize(
    "make",
    [
        lambda rng, count, n: ["ZADD", "z", str(rng.randrange(count)), f"new{n}"],
        lambda rng, count, n: ["ZADD", "z", str(rng.randrange(count)), f"m{rng.randrange(count)}"],
        lambda rng, count, n: ["ZRANK", "z", f"m{rng.randrange(count)}"],
        lambda rng, count, n: ["ZRANGE", "z", str(count // 2), str(count // 2 + 9)],
        lambda rng, count, n: ["ZPOPMIN", "z"],
    ],
    ids=lambda make: " ".join(make(Random(0), 9, 0)[:1]),
)
def test_what_goes_by_rank_touches_a_node_for_each_level(
    small: Counted, large: Counted, make: Callable[[Random, int, int], list[str]]
) -> None:
    assert average(small, SMALL, make) <= 2 * ELEMENTS.most
    levels = ceil(log(LARGE / SMALL, NODES.new))
    assert (
        average(large, LARGE, make) <= average(small, SMALL, make) + 2 * ELEMENTS.most + NODES.most * levels
    )


def test_what_was_taken_off_is_not_walked_over_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """LevelDB keeps what was deleted for a while, and a range that begins or ends there walks over it: a window that
    slides over a sorted set, a queue that is read from its right end."""
    scans: list[tuple[bytes, bytes | None]] = []
    elements_under = View.elements_under

    def noted(
        view: View, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        scans.append((start, stop))
        return elements_under(view, prefix, start, stop, reverse)

    monkeypatch.setattr(lists, "_AHEAD_MAX", 64)  # so that the last pops still have to read
    group = Group()
    for number in range(400):
        group.run("ZADD", "window", str(number), f"event {number:03}")
        group.run("LPUSH", "queue", f"job {number:03}")
    group.run("ZREMRANGEBYSCORE", "window", "-inf", "(380")
    group.run("ZRANGE", "window", "0", "0")
    for number in range(300):
        assert group.run("RPOP", "queue") == b"job %03d" % number
    monkeypatch.setattr(View, "elements_under", noted)
    assert group.run("ZCOUNT", "window", "390", "+inf") == 10
    assert group.run("ZRANK", "window", "event 399") == 19
    first = zsets.place_of_score(380)
    assert scans
    assert all(start[1:] >= first for start, _ in scans)
    scans.clear()
    ends = set()
    for number in range(300, 399):
        ends.add((2**63 - 1 - number).to_bytes(8, "big") + b"\0")
        assert group.run("RPOP", "queue") == b"job %03d" % number
    assert scans
    assert all(stop in ends for _, stop in scans)


@pytest.mark.parametrize("words", ["SPOP s", "SPOP s 20", "LPOP l", "RPOP l", "ZPOPMIN z", "ZPOPMAX z"])
def test_a_pop_costs_the_same_however_many_came_before(words: str) -> None:
    members, parts = 12_000, 4
    group = Counted(UnmergedStore())
    names = [f"m{number:05}" for number in range(members)]
    group.run("SADD", "s", *names)
    group.run("RPUSH", "l", *names)
    group.run("ZADD", "z", *(word for number, name in enumerate(names) for word in (str(number), name)))
    _, key, *count = request = words.split()
    times = members // parts // int(count[0] if count else 1)
    costs = [sum(group.cost(*request) for _ in range(times)) for _ in range(parts)]
    assert group.run("EXISTS", key) == 0
    assert max(costs) <= 5 * min(costs), "the last of a set lie beside what has gone, once"


def test_fields_that_expire_one_after_the_other_cost_the_same() -> None:
    fields, parts = 2000, 4
    group = Counted(UnmergedStore())
    for number in range(fields):
        group.run("HSETEX", "h", "PX", f"{1000 + number}", "FIELDS", "1", f"f{number}", "v")
    costs = [0] * parts
    for number in range(fields):
        costs[number * parts // fields] += group.cost("HDEL", "h", f"f{number}")
    assert group.run("EXISTS", "h") == 0
    assert max(costs) <= 2 * min(costs), costs


def test_a_small_set_that_is_filled_and_emptied_costs_the_same_for_ever() -> None:
    group = Counted(UnmergedStore())
    group.run("SADD", "s", *(f"m{number}" for number in range(200)))
    costs = []
    for part in range(10):
        before = group.counting.records
        for number in range(200):
            group.run("SPOP", "s")
            group.run("SADD", "s", f"new {part} {number}")
        costs.append(group.counting.records - before)
    assert group.run("SCARD", "s") == 200
    assert costs[-1] <= costs[0], costs


def test_a_key_that_is_missing_is_looked_for_once() -> None:
    group = Counted()
    for command in (["INCR"], ["SADD", "x"], ["HSET", "f", "v"], ["LPUSH", "x"], ["ZADD", "1", "x"]):
        name, *words = command
        assert group.cost(name, f"new {name}", *words) == 2, "the look and the head"
