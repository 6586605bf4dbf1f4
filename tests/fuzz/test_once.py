"""Once and only once, in one process: a leader that loses its leadership at any point, with any part of its log kept.

The simulator (tests/sim) knows nothing of commands: it proves that what is committed stays. The processes
(tests/processes/elements.py) prove the whole, but meet rare moments rarely. Between the two stands this: the real
shard, its overlay, its waiters and its orphans, over a log whose commits, cuts and terms a seed decides. Clients push
elements that have names, pop and move them, wait for them, leave, and transfer money; the same judges look at the end.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from raft.core.messages import NORMAL, Entry
from server.commands.table import COMMANDS, lookup
from server.keyspace import breath
from server.keyspace.leveldb import DataStore
from server.shard.call import Call, Later, Transaction
from tests.fuzz.machine import finish
from tests.processes.elements import (
    ACKED,
    REFUSED,
    START_BALANCE,
    TRANSFER,
    UNKNOWN,
    judge_elements,
    judge_transfers,
)
from tests.server.bench import Bench

rounds = 25
steps = 250
SEED = int(os.environ.get("REDRAFT_ONCE_SEED", "1"))
REFUSALS = (b"-UNBLOCKED", b"*-1", b"_")


class Story:
    """One run: what was asked, and what came of it."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.random = Random(seed)
        self.pushed: dict[str, str] = {}
        self.popped: list[str] = []
        self.lost_max = 0
        self.sources: dict[str, str] = {}
        self.moved: list[str] = []
        self.transfers: dict[str, tuple[str, int]] = {}
        self.open = 0
        """Calls that were not answered yet."""
        self._calls: list[Call] = []
        self._number = 0

    def run(self) -> None:
        self.ask([b"SET", b"one", b"%d" % START_BALANCE], lambda reply: None)
        self.ask([b"HSET", b"other", b"money", b"0"], lambda reply: None)
        self.settle()
        for _ in range(steps):
            self.step()
        self.settle()
        for call in self._calls:
            self.bench.shard.waiters.end(call, error=True)
        assert self.open == 0, "somebody was never answered"

    def step(self) -> None:
        self._number += 1
        name = f"e.{self._number}"
        draw = self.random.random()
        if draw < 0.2:
            self.push(self.pushed, b"queue", name)
        elif draw < 0.35:
            self.push(self.sources, b"source", name)
        elif draw < 0.5:
            self.pop()
        elif draw < 0.65:
            request = [b"BLMOVE", b"source", b"target", b"LEFT", b"RIGHT", b"0"]
            self.ask(request, lambda reply: self.moved.extend(strings(reply)))
        elif draw < 0.8:
            self.transfer(name, self.random.randrange(1, 50))
        elif draw < 0.85 and self._calls:
            self.bench.shard.waiters.end(self.random.choice(self._calls), error=True)
        elif draw < 0.93:
            self.bench.turn()
            group = self.bench.group
            self.bench.commit(self.random.randint(group.commit, group.last_index))
            if self.random.random() < 0.5:
                self.bench.apply()
        elif draw < 0.96:
            self.refuse()
        else:
            self.change_leader()
        self.again()

    def ask(self, request: list[bytes], then: object, commands: list[list[bytes]] | None = None) -> None:
        """`then` is called with the reply."""
        self.open += 1

        def answered(reply: bytes) -> None:
            self.open -= 1
            then(reply)  # type: ignore[operator]

        transaction = None
        if commands is not None:
            transaction = Transaction([(COMMANDS[c[0].lower()], c, 0) for c in commands], [])
        row = lookup(request)
        assert row is not None
        call = Call(row, request, 0, 2, Later(answered), transaction)
        if row.blocks:
            self._calls.append(call)
        self.bench.shard.submit(call)
        finish(self.bench.shard)

    def push(self, told: dict[str, str], key: bytes, name: str) -> None:
        told[name] = UNKNOWN

        def then(reply: bytes) -> None:
            told[name] = what(reply)

        self.ask([b"RPUSH", key, name.encode()], then)

    def pop(self) -> None:
        self.lost_max += 1

        def then(reply: bytes) -> None:
            if what(reply) != UNKNOWN:
                self.lost_max -= 1
            self.popped += strings(reply)[1:]

        self.ask([b"BLPOP", b"none", b"queue", b"0"], then)

    def transfer(self, name: str, amount: int) -> None:
        self.transfers[name] = (UNKNOWN, amount)
        much = b"%d" % amount

        def then(reply: bytes) -> None:
            self.transfers[name] = (what(reply), amount)

        if self.random.random() < 0.5:
            keys = [b"3", b"one", b"other", b"notes"]
            self.ask([b"EVAL", TRANSFER.encode(), *keys, much, name.encode()], then)
        else:
            commands = [
                [b"DECRBY", b"one", much],
                [b"HINCRBY", b"other", b"money", much],
                [b"RPUSH", b"notes", name.encode()],
            ]
            self.ask([b"EXEC"], then, commands)

    def refuse(self) -> None:
        """Raft takes nothing for a moment: what was evaluated in this turn did not happen."""
        group = self.bench.group
        group.refusing, group.can_propose = True, False
        self.bench.turn()
        group.refusing, group.can_propose = False, True
        self.bench.shard.refresh()

    def change_leader(self) -> None:
        """Lost at any point of a turn, won again later; any part of what is not committed survives, no more."""
        bench, group, random = self.bench, self.bench.group, self.random
        if random.random() < 0.5:
            bench.turn()
        kept = random.randint(group.commit, group.last_index)
        bench.follow(group.term + 1)
        del group.log[kept:]
        if random.random() < 0.5:
            group.log.append(Entry(group.last_index + 1, group.term, NORMAL, b""))
            if random.random() < 0.5:
                bench.commit(group.last_index)
        elif random.random() < 0.2:
            bench.shard.give_up_orphans()
        group.can_propose = True
        bench.lead(group.term + 1)

    def again(self) -> None:
        """What the route does with calls that are to be done again."""
        shard = self.bench.shard
        while shard.retry and shard.ready:
            calls, shard.retry = sorted(shard.retry, key=lambda call: call.order), []
            for call in calls:
                shard.submit(call)
                finish(shard)

    def settle(self) -> None:
        for _ in range(3):
            self.bench.turn()
            self.bench.commit(self.bench.group.last_index)
            self.bench.apply()
            self.again()

    def elements(self, key: str) -> list[str]:
        replies = self.bench.ask("LRANGE", key, "0", "-1")
        return strings(replies[0])

    def problems(self) -> list[str]:
        found = judge_elements(self.pushed, self.popped, self.elements("queue"), self.lost_max)
        found += judge_elements(self.sources, [], [*self.elements("source"), *self.elements("target")], 0)
        found += judge_elements(dict.fromkeys(self.elements("target"), ACKED), self.moved, [], 1 << 30)
        one, other = self.bench.ask("GET", "one"), self.bench.ask("HGET", "other", "money")
        balances = [int(strings(reply[0])[0]) for reply in (one, other)]
        return found + judge_transfers(self.transfers, self.elements("notes"), *balances)


def what(reply: bytes) -> str:
    """What a reply says of the outcome."""
    if reply.startswith(b"-UNKNOWN"):
        return UNKNOWN
    assert not reply.startswith(b"-") or reply.startswith(REFUSALS), reply
    return REFUSED if reply.startswith(REFUSALS) else ACKED


def strings(reply: bytes) -> list[str]:
    """The bulk strings of a reply."""
    lines = reply.decode().split("\r\n")
    return [text for head, text in pairwise(lines) if head[:1] == "$" and head != "$-1"]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes no command a long one."""
    monkeypatch.setattr(breath, "slice_s", 3600.0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "data")
    yield bench
    assert isinstance(bench.store, DataStore)
    bench.store.close()


@pytest.mark.parametrize("number", range(rounds))
def test_leaders_come_and_go_and_every_element_is_there_once(number: int, bench: Bench) -> None:
    story = Story(bench, SEED + number)
    story.run()
    assert not (problems := story.problems()), f"REDRAFT_ONCE_SEED={SEED + number}: {problems[:5]}"
    assert story.popped
    assert story.moved
