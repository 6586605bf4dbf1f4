"""Scripts that name no keys, at a leader that is not theirs: they leave nothing behind, and go at most once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.commands.table import lookup
from server.dispatch.wandering import wanders_to
from server.keyspace.home import Home
from server.keyspace.slots import key_slot
from server.shard.call import Call, Later
from tests.server.bench import Bench

HERE, THERE = "{a}here", "{b}there"
GROUPS = [1 if slot == key_slot(HERE.encode()) else 2 for slot in range(16384)]
CROSSES = "CROSSSLOT"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "data")
    bench.shard.evaluator.view.home = Home(1, GROUPS)
    yield bench
    bench.store.close()


def run(bench: Bench, text: str, *, wanders: bool = True) -> bytes:
    """The reply to a script without keys, when all is committed."""
    replies: list[bytes] = []
    args = [b"EVAL", text.encode(), b"0"]
    row = lookup(args)
    assert row is not None
    call = Call(row, args, 0, 2, Later(replies.append))
    call.wanders = wanders
    bench.shard.submit(call)
    bench.turn()
    bench.commit(bench.group.last_index)
    [reply] = replies
    return reply


@pytest.mark.parametrize("flags", ["", "#!lua flags=allow-oom\n", "#!lua\n"])
@pytest.mark.parametrize("call", ["call", "pcall"])
def test_whose_first_key_is_elsewhere_goes_there(bench: Bench, flags: str, call: str) -> None:
    before = bench.group.last_index
    text = f"{flags}redis.{call}('set', '{THERE}', '1') return 1"
    assert wanders_to(run(bench, text)) == key_slot(THERE.encode())
    assert bench.group.last_index == before, "it has done nothing here"


def test_what_it_published_before_is_published_there(bench: Bench) -> None:
    text = f"redis.call('publish', 'news', 'x') return redis.call('incr', '{THERE}')"
    assert wanders_to(run(bench, text)) == key_slot(THERE.encode())
    assert bench.heard == []
    text = text.replace(THERE, HERE)
    assert run(bench, text) == b":1\r\n"
    assert [name for name, _ in bench.heard] == ["x"]


@pytest.mark.parametrize(
    "first", [f"'set', '{HERE}', '1'", f"'get', '{HERE}'", f"'mget', '{HERE}', '{THERE}'"]
)
def test_who_has_touched_a_key_here_stays(bench: Bench, first: str) -> None:
    """There its first key would be elsewhere in turn."""
    text = f"redis.pcall({first}) return redis.call('get', '{THERE}')"
    assert CROSSES in run(bench, text).decode()


def test_who_has_come_from_elsewhere_stays(bench: Bench) -> None:
    assert CROSSES in run(bench, f"return redis.call('get', '{THERE}')", wanders=False).decode()


def test_the_next_one_may_wander_again(bench: Bench) -> None:
    assert run(bench, f"return redis.call('incr', '{HERE}')") == b":1\r\n"
    assert wanders_to(run(bench, f"return redis.call('incr', '{THERE}')")) is not None
