"""What is read ahead for who takes elements off again and again: it changes no answer, whatever else is done to the
collection in between, and nothing of it outlives a command that failed."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from resp import Members
from server.commands import all as all_commands
from server.commands.table import lookup
from server.types import crc_order
from server.types.lists import Ahead
from tests.server.bench import Bench
from tests.server.harness import Group

assert all_commands.loaded

MANY = 1200


class Twins(RuleBasedStateMachine):
    """Two groups do the same; one of them forgets before each command what it has read ahead."""

    @initialize(count=st.sampled_from([200, 600]))
    def start(self, count: int) -> None:
        self.keen, self.dull = Group(), Group()
        self.both("RPUSH", "l", *(f"{number}" for number in range(count)))
        self.both(
            "ZADD", "z", *(word for number in range(count) for word in (f"{number % 90 - 9}", f"m{number}"))
        )

    def both(self, *words: str) -> None:
        self.dull.view.derived.clear()
        assert self.keen.run(*words) == self.dull.run(*words), words

    @rule(end=st.sampled_from("LR"), times=st.integers(1, 90))
    def pop_from_a_list(self, end: str, times: int) -> None:
        for _ in range(times):
            self.both(f"{end}POP", "l")

    @rule(end=st.sampled_from("LR"), count=st.integers(1, 80))
    def push_to_a_list(self, end: str, count: int) -> None:
        self.both(f"{end}PUSH", "l", *(f"{end}{number}" for number in range(count)))

    @rule(
        words=st.sampled_from(
            [
                ["LSET", "l", "1", "set"],
                ["LSET", "l", "-2", "set"],
                ["LTRIM", "l", "3", "-4"],
                ["LREM", "l", "0", "set"],
                ["LREM", "l", "1", "L0"],
                ["LINSERT", "l", "BEFORE", "set", "new"],
                ["LPOP", "l", "5"],
                ["RPOP", "l", "5"],
                ["LMOVE", "l", "l", "LEFT", "RIGHT"],
                ["LMOVE", "l", "l", "LEFT", "LEFT"],
                ["RENAME", "l", "other"],
                ["RENAME", "other", "l"],
                ["DEL", "l"],
                ["COPY", "l", "other", "REPLACE"],
            ]
        )
    )
    def change_a_list(self, words: list[str]) -> None:
        self.both(*words)
        self.both("LRANGE", "l", "0", "-1")

    @rule(end=st.sampled_from(["MIN", "MAX"]), times=st.integers(1, 90), count=st.sampled_from([1, 1, 2, 70]))
    def pop_from_a_sorted_set(self, end: str, times: int, count: int) -> None:
        for _ in range(times):
            self.both(f"ZPOP{end}", "z", *([] if count == 1 else [str(count)]))

    @rule(low=st.integers(-12, 90), count=st.integers(1, 80), name=st.sampled_from("mn"))
    def add_to_a_sorted_set(self, low: int, count: int, name: str) -> None:
        for number in range(count):
            self.both("ZADD", "z", f"{low + number % 7 * 3}", f"{name}{number}")

    @rule(name=st.sampled_from("mn"), number=st.integers(0, 600))
    def change_a_sorted_set(self, name: str, number: int) -> None:
        self.both("ZADD", "z", "-0", f"{name}{number}")
        self.both("ZREM", "z", f"{name}{number // 2}")
        self.both("ZINCRBY", "z", "-30", f"{name}{number // 3}")
        self.both("ZREMRANGEBYRANK", "z", "-3", "-2")
        self.both("ZRANGE", "z", "0", "-1", "WITHSCORES")


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=20, stateful_step_count=15)


def filled() -> Group:
    group = Group()
    group.run("RPUSH", "l", *(f"{number:04}" for number in range(MANY)))
    group.run("SADD", "s", *(f"{number:04}" for number in range(MANY)))
    group.run("ZADD", "z", *(word for number in range(MANY) for word in (f"{number}", f"{number:04}")))
    for command in (("LPOP", "l"), ("SPOP", "s"), ("ZPOPMIN", "z"), ("ZPOPMAX", "z")):
        for _ in range(3):
            group.run(*command)
    return group


@pytest.mark.parametrize(
    ("pop", "change"),
    [
        ("LPOP l", "LPOP l"),
        ("RPOP l", "RPOP l"),
        ("LPOP l", "LSET l 0 ghost"),
        ("LPOP l", "LPUSH l ghost"),
        ("SPOP s", "SPOP s"),
        ("SPOP s", "SADD s " + " ".join(f"ghost{number}" for number in range(3 * MANY))),
        ("ZPOPMIN z", "ZPOPMIN z"),
        ("ZPOPMAX z", "ZPOPMAX z"),
        ("ZPOPMIN z", "ZADD z -1 ghost"),
        ("ZPOPMAX z", "ZADD z 99999 ghost"),
    ],
)
def test_what_was_taken_back_leaves_nothing_behind(pop: str, change: str) -> None:
    """A script whose later command fails: what is read ahead is as if it had never run."""
    group = filled()
    name, key = pop.split()
    before = everything(group, key)
    view = group.begin()
    for _ in range(2):
        run(group, *change.split())
    view.rollback()
    assert everything(group, key) == before
    taken = [group.run(name, key) for _ in range(MANY // 2)]
    members = [one[0] if isinstance(one, list) else one for one in taken]
    left = everything(group, key)
    if key != "s":
        assert members == (before if name in ("LPOP", "ZPOPMIN") else before[::-1])[: len(members)]
    assert sorted(left + members) == sorted(before)


def everything(group: Group, key: str) -> list[bytes]:
    """The elements of a collection, by a command."""
    reply = group.run(*EVERYTHING[key])
    return list(reply.value if isinstance(reply, Members) else reply)


EVERYTHING = {"l": ("LRANGE", "l", "0", "-1"), "s": ("SMEMBERS", "s"), "z": ("ZRANGE", "z", "0", "-1")}


@pytest.mark.parametrize("how", ["lost leadership", "not taken by Raft"])
def test_what_was_never_committed_is_taken_again(tmp_path: Path, how: str) -> None:
    """What is read ahead goes with the state that it was read from."""
    bench = Bench(tmp_path)
    bench.ask("ZADD", "z", *(word for number in range(MANY) for word in (f"{number}", f"m{number:04}")))
    bench.ask("RPUSH", "l", *(f"m{number:04}" for number in range(MANY)))
    for command in ("ZPOPMIN z", "ZPOPMIN z", "LPOP l", "LPOP l"):
        bench.ask(*command.split())
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()
    for command in (
        "ZPOPMIN z",
        "ZPOPMIN z",
        "ZADD z 1 ghost",
        "LPOP l",
        "LPOP l",
        "LSET l 0 ghost",
        "LPOP l",
    ):
        bench.ask(*command.split())
    if how == "lost leadership":
        bench.turn()
        bench.follow(2)
        bench.group.log.pop()
        bench.group.can_propose = True
        bench.lead(3)
    else:
        bench.group.refusing = True
        bench.turn()
        bench.group.refusing = False
        bench.shard.refresh()
    replies = [bench.ask(*command.split()) for command in ("ZPOPMIN z", "LPOP l", "ZPOPMIN z", "LPOP l")]
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.store.close()
    assert [word.split()[-3 if word[:1] == b"*" else -1] for (word,) in replies] == [
        b"m0002",
        b"m0002",
        b"m0003",
        b"m0003",
    ]


def run(group: Group, *words: str) -> None:
    """A command of which the effects are not taken."""
    args = [word.encode() for word in words]
    row = lookup(args)
    assert row is not None
    row.handler(group.view, args)


def test_a_row_of_pops_reads_the_list_once() -> None:
    group = filled()
    ahead = group.view.derived.find(group.view.collection(b"l", 1).id)  # type: ignore[union-attr]
    assert isinstance(ahead, Ahead)
    assert len(ahead.values) > 50


@pytest.mark.parametrize(("pop", "push"), [("LPOP", "RPUSH"), ("RPOP", "LPUSH")])
def test_a_long_row_of_pops_reads_more_each_time(
    monkeypatch: pytest.MonkeyPatch, pop: str, push: str
) -> None:
    """And a row that was broken off does not lose or repeat any."""
    group = Group()
    names = [f"{number:05}" for number in range(5000)]
    group.run(push, "l", *names)
    reads: list[int] = []
    read = Ahead.read

    def noted(ahead: Ahead, rows: Iterable[tuple[bytes, bytes]], length: int) -> None:
        read(ahead, rows, length)
        reads.append(len(ahead.values))

    monkeypatch.setattr(Ahead, "read", noted)
    popped = [group.run(pop, "l") for _ in range(2500)]
    assert reads[:6] == [64, 128, 256, 512, 512, 512]
    popped += group.run(pop, "l", "100")
    popped += [group.run(pop, "l") for _ in range(2399)]
    assert group.run("LLEN", "l") == 1
    assert popped == [name.encode() for name in names[:4999]]


def test_large_elements_are_not_read_ahead() -> None:
    group = Group()
    group.run("RPUSH", "l", *["x" * 20_000] * 30)
    for _ in range(4):
        group.run("LPOP", "l")
    ahead = group.view.derived.find(group.view.collection(b"l", 1).id)  # type: ignore[union-attr]
    assert len(ahead.values) <= 1


@pytest.mark.parametrize("count", [150, 700, 3000])
def test_every_member_is_as_likely_to_be_popped(count: int) -> None:
    """The first pops of many sets that are alike: chi square of how often each eighth of the checksums is hit."""
    group = Group()
    members = [f"member:{number}" for number in range(count)]
    group.run("SADD", "s", *members)
    collection = group.view.collection(b"s", 2)
    assert collection is not None
    assert collection.spread
    random = Random(5)
    hits: Counter[bytes] = Counter()
    rounds = 1500
    for _ in range(rounds):
        sample = crc_order.Sample()
        while not sample.chosen:
            sample.fill(collection, count, random)
        hits.update(sample.chosen[:8])
    share = 8 * rounds / 8
    eighths = Counter(where[0] // 32 for where in hits.elements())
    in_eighth = Counter(where[0] // 32 for where, _ in collection.scan())
    chi = sum(
        (eighths[at] - share * 8 * in_eighth[at] / count) ** 2 / (share * 8 * in_eighth[at] / count)
        for at in range(8)
    )
    assert chi < 80  # of 7 degrees of freedom, and what is chosen together lies together


def test_a_member_that_has_gone_is_not_popped() -> None:
    group = filled()
    members = everything(group, "s")
    group.run("SREM", "s", *members[::2])
    assert {group.run("SPOP", "s") for _ in range(MANY // 4)} <= set(members[1::2])


def test_a_new_member_may_be_the_next_to_be_popped() -> None:
    """A member that comes when others were chosen already is as likely as they are."""
    random = Random(1)
    times = 0
    for _ in range(2000):
        sample = crc_order.Sample()
        sample.chosen = [b"%d" % number for number in range(20)]
        sample.added(b"new", 40, random)
        times += b"new" in sample.chosen
    assert 900 < times < 1100
    sample.removed(b"new")
    assert b"new" not in sample.chosen
