"""Sorted sets against a dict: the same order, ranks and ranges while small and when spread, before and after a save."""

from random import Random

import pytest

import server.commands.zset_pops
import server.commands.zset_ranges
import server.commands.zsets  # noqa: F401
from server.types import zsets
from server.types.zset_ranges import Ranks, Word, Words, scores
from server.types.zsets import pairs_of
from tests.server.harness import Group

SCORES = (0.0, 1.0, -1.0, 0.5, float("inf"), float("-inf"), 1e300, -5e-324, 3.25)


def check(group: Group, model: dict[bytes, float], random: Random) -> None:
    """Whatever can be asked."""
    zset = zsets.find(group.begin(), b"k")
    if zset is None:
        assert not model
        return
    ordered = sorted(model.items(), key=lambda pair: (pair[1], pair[0]))
    assert zset.count == len(model)
    assert list(zset.scan()) == ordered
    assert list(zset.scan(reverse=True)) == ordered[::-1]
    for _ in range(8):
        rank = random.randrange(len(ordered))
        assert zset.rank(ordered[rank][0]) == rank
        assert zset.score(ordered[rank][0]) == ordered[rank][1]
        first, stop = random.randrange(len(ordered)), random.randrange(len(ordered) + 5)
        assert list(zset.slice(first, stop)) == ordered[first:stop]
        assert list(zset.slice(first, stop, True)) == ordered[::-1][first:stop]
        assert pairs_of(Ranks(first, -1).rows(zset, False, 0, None)) == ordered[first:]
        low, high = random.choice(SCORES), random.choice(SCORES)
        range_ = scores(low, True, high, False)
        expected = [pair for pair in ordered if low < pair[1] <= high]
        assert range_.count(zset) == len(expected)
        assert pairs_of(range_.rows(zset, False, 2, 5)) == expected[2:7]
        assert pairs_of(range_.rows(zset, True, 0, 3)) == expected[::-1][:3]
    everything = Words(Word(b"", False, -1), Word(b"", False, 1))
    assert everything.count(zset) == len(model)
    seen: list[tuple[bytes, float]] = []
    cursor = 0
    while True:
        cursor, page = zset.page(cursor, 7)
        seen += page
        if not cursor:
            break
    assert sorted(seen) == sorted(model.items())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("names", [30, 3000])
def test_any_changes(seed: int, names: int) -> None:
    random = Random(seed)
    group = Group()
    model: dict[bytes, float] = {}
    for _ in range(40):
        view = group.begin()
        zset = zsets.find(view, b"k") or zsets.create(view, b"k")
        for _ in range(random.choice((1, 5, names))):
            member = b"m%d" % random.randrange(names)
            if random.random() < 0.45:
                assert zset.remove(member) == (model.pop(member, None) is not None)
            else:
                score = random.choice((random.choice(SCORES), random.uniform(-9, 9)))
                zset.put(member, score)
                model[member] = score
        zset.save()
        group.commit()
        check(group, model, random)
    group.run("ZREMRANGEBYRANK", "k", "0", "-1")
    assert group.run("ZCARD", "k") == 0


def test_one_change_of_a_large_set_writes_little() -> None:
    group = Group()
    group.run("ZADD", "k", *(word for number in range(5000) for word in (str(number), f"m{number}")))
    group.run("ZADD", "k", "17.5", "new")
    assert len(group.written) < 10
    group.run("ZREM", "k", "m4000")
    assert len(group.written) < 10


def large(group: Group) -> list[str]:
    """Fill `z` with 500 members, m000 to m499, in the order of their names."""
    members = [f"m{number:03}" for number in range(500)]
    group.run("ZADD", "z", *(word for score, member in enumerate(members) for word in (str(score), member)))
    return members


def test_a_command_that_fails_leaves_the_ranks_as_they_were() -> None:
    group = Group()
    large(group)
    assert group.run("ZRANK", "z", "m300") == 300
    for saved in (False, True):
        view = group.begin()
        zset = zsets.find(view, b"z")
        assert zset is not None
        for number in range(100):
            zset.remove(b"m%03d" % number)
        if saved:
            zset.save()
        view.rollback()
        assert group.run("ZRANK", "z", "m300") == 300
        assert group.run("ZRANGE", "z", "0", "0") == [b"m000"]


def test_the_ends_are_found_again_after_any_change() -> None:
    group = Group()
    members = large(group)
    random = Random(5)
    scores = {member: float(number) for number, member in enumerate(members)}
    for _ in range(300):
        for command, best in (("ZPOPMIN", min), ("ZPOPMAX", max)):
            member = best(scores, key=lambda each: (scores[each], each))
            popped = group.run(command, "z")
            assert popped[0] == member.encode()
            del scores[member]
        member = random.choice(members)
        scores[member] = random.choice([-1.0, 1.0]) * random.randrange(600)
        group.run("ZADD", "z", str(scores[member]), member)


def test_a_cursor_beyond_all_checksums_is_at_the_end() -> None:
    group = Group()
    group.run("ZADD", "z", *(word for number in range(200) for word in (str(number), f"m{number}")))
    for cursor in ("4294967295", "4294967296", "18446744073709551615"):
        assert group.run("ZSCAN", "z", cursor)[1] == []
