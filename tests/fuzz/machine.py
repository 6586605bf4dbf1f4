"""A shard group that is fuzzed in this process: a leader whose log, commits and applying are moved at random, and a
second replica that applies the same log.

`Fuzz(path, seed).run(commands)` raises `Found` with the seed, the request and the traceback as soon as something is
wrong: a handler that raised what it must not raise, a reply that is no RESP, a call that was answered twice or never,
replicas that differ, indexes or counts that are not true (integrity.py). The same seed does the same again.
"""

import logging
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from server.commands.table import COMMANDS, NODE, SHARD, SPREAD_ALL, Command, lookup
from server.errors import CommandError
from server.keyspace import breath
from server.keyspace.events import Event
from server.keyspace.leveldb import DataStore
from server.keyspace.meta import DATABASES
from server.shard.call import Call, Later, Transaction
from server.shard.clock import TurnClock
from server.shard.digest import digest
from server.shard.replica import Replica
from server.shard.shard import Shard
from server.shard.sweeper import sweep
from tests.fuzz.integrity import problems
from tests.fuzz.reply import read_reply
from tests.fuzz.requests import Maker, Request
from tests.server.bench import Bench, apply

START_MS = 1_700_000_000_000


class Found(AssertionError):
    """A bug; the text says which seed shows it again."""


def finish(shard: Shard) -> None:
    """A shard that is at work on a long command has all the time it needs, at once."""
    while getattr(shard, "work", None) is not None:
        shard.worker.go_on()  # type: ignore[attr-defined]


class _Alarm(logging.Handler):
    """Keeps what the server reports as a failure of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _HandClock(TurnClock):
    """Shows what it is told."""

    def refresh(self) -> None:
        pass


class Fuzz(Bench):
    """One run; a Bench (tests/server/bench.py) whose hand is a seed."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__(path / "leader", clock=_HandClock())
        self.seed = seed
        self.random = Random(f"machine {seed}")
        self.maker = Maker(
            seed, where=lambda row: row.where is not NODE and row.name not in ("fcall", "fcall_ro")
        )
        """Functions are found by dispatch."""
        self.second = DataStore(path / "second", block_cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
        self.follower = Replica(self.second, 1)
        self.followed_upto = 0
        self.done: Counter[str] = Counter()
        self.now_ms = START_MS
        self.shard.views.random.seed(seed)
        self.shard.set_notify(0xFFFF)
        self.waiting: dict[int, tuple[list[Request], Call]] = {}
        self.slow: list[tuple[float, str]] = []
        """Those that took longest: seconds and what they were."""
        self._alarm = _Alarm()
        self._last: list[Request] = []
        self._number = 0

    def take_events(self, events: list[Event]) -> None:
        """They would be published; nobody listens."""

    def run(self, commands: int) -> None:
        """Fuzz. Raises Found."""
        logging.getLogger("redraft").addHandler(self._alarm)
        slice_s = breath.slice_s
        try:
            self._run(commands)
        except Found:
            raise
        except BaseException as error:
            raise Found(f"{self._where()}: {error!r}") from error
        finally:
            breath.slice_s = slice_s
            logging.getLogger("redraft").removeHandler(self._alarm)

    def close(self) -> None:
        """Close the stores."""
        self.store.close()
        self.second.close()

    def _run(self, commands: int) -> None:
        random = self.random
        self._tell_time()
        while self.done.total() < commands:
            for _ in range(random.choice((1, 1, 3, 10))):
                self._ask()
            self._end_turn()
            if random.random() < 0.004:
                self._change_leader()
            if random.random() < 0.003:
                self._settle()
        self._settle()
        for _, call in list(self.waiting.values()):
            self.shard.waiters.end(call, error=False)
        if self.waiting or self.shard.retry or self.shard.orphans:
            raise Found(f"{self._where()}: nobody answers {list(self.waiting.values())[:3]}")

    def _tell_time(self) -> None:
        self.clock.now_ms = self.now_ms
        self.clock.now_s = self.now_ms / 1000

    def _end_turn(self) -> None:
        random, group = self.random, self.group
        self.turn()
        self.now_ms += random.choice((0, 1, 5, 30, 1000))
        self._tell_time()
        if random.random() < 0.5:
            self.commit(random.randint(group.commit, group.last_index))
        if random.random() < 0.3:
            self.apply()
        if random.random() < 0.2:
            self.shard.expirer.expire_due()
            self.shard.check_waiters()
            self.shard.flush()
        if random.random() < 0.1:
            sweep(self.store, self.shard.replica)
        if self._alarm.records:
            record = self._alarm.records[0]
            text = logging.Formatter().format(record)
            raise Found(f"{self._where()}: {text}")

    def _ask(self) -> None:
        """One request, or a transaction."""
        random = self.random
        # What takes long is no matter of the clock: some pause wherever they can, most never.
        breath.slice_s = random.choice((0.0, 3600.0, 3600.0, 3600.0))
        if random.random() < 0.05:
            self._last = self.maker.transaction()
            rows = [self._row(request) for request in self._last]
            commands: list[tuple[Command, Request, int]] = [
                (row, request, self._db())
                for row, request in zip(rows, self._last, strict=True)
                if row is not None
            ]
            watched = (
                [(0, self.maker.key().encode(), random.choice((0, 0, 1)))] if random.random() < 0.2 else []
            )
            row, transaction = lookup([b"exec"]), Transaction(commands, watched)
            self.done["transaction"] += len(commands)
        else:
            self._last = [self.maker.request()]
            row, transaction = self._row(self._last[0]), None
            self.done[row.name if row else "refused"] += 1
        if row is None:
            return
        self._number += 1
        number = self._number
        protocol = random.choice((2, 3))
        call = Call(
            row, self._last[0], self._db(), protocol, Later(partial(self._answered, number)), transaction
        )
        self.waiting[number] = (self._last, call)
        if self.shard.ready:
            began_s = perf_counter()
            self.shard.submit(call)
            finish(self.shard)
            self.slow.append((round(perf_counter() - began_s, 3), _short(self._last)))
            self.slow = sorted(self.slow, reverse=True)[:5]
        if row.blocks and transaction is None and random.random() < 0.1:
            self.shard.waiters.end(call, error=random.random() < 0.5)
        self._again()

    def _row(self, request: Request) -> Command | None:
        """What dispatch would have run, None when it would have answered by itself."""
        row = lookup(request)
        if row is None or row.is_container or row.where is NODE:
            return None
        if row.where is SPREAD_ALL:
            row = COMMANDS.get(b"_" + row.error_name, row)
        try:
            row.check_arity(request)
            list(row.keys.indexes(request))
        except CommandError:
            return None
        if row.where is not SHARD and row.where is not SPREAD_ALL:
            indexes = row.keys.indexes(request)
            request[1:] = [request[at] for at in indexes]
        return row

    def _db(self) -> int:
        return self.random.choice((0, 0, 0, 0, 1, self.random.randrange(DATABASES)))

    def _answered(self, number: int, reply: bytes) -> None:
        requests, call = self.waiting.pop(number)
        read_reply(reply, call.protocol)
        if call.command.name == "dump" and reply[:1] == b"$" and len(reply) > 10:
            self.maker.payloads[3:] = [*self.maker.payloads[-20:], reply[reply.index(b"\n") + 1 : -2]]
        if b"internal error" in reply:
            records = [logging.Formatter().format(record) for record in self._alarm.records]
            raise Found(f"seed {self.seed}: {_short(requests)} -> {reply!r}\n" + "\n".join(records))

    def _settle(self) -> None:
        """Commit and apply all, at the other replica too, and look at everything."""
        self.turn()
        self.commit(self.group.last_index)
        self.apply()
        entries = self.group.log[self.followed_upto : self.group.commit]
        while entries:
            some, entries = entries[: (n := self.random.randrange(1, 50))], entries[n:]
            apply(self.follower, some, 100)
            self.followed_upto = some[-1].index
        if digest(self.shard.replica) != digest(self.follower):
            raise Found(f"{self._where()}: the replicas differ")
        found = problems(self.shard.replica) + problems(self.follower)
        if found:
            raise Found(f"{self._where()}: {found[:5]}")

    def _change_leader(self) -> None:
        """The leadership is lost, perhaps with what is not committed, and won again."""
        group = self.group
        if self.random.random() < 0.5:
            del group.log[group.commit :]
        self.follow(group.term + 1)
        group.can_propose = True
        self.lead(group.term + 1)
        self._again()

    def _again(self) -> None:
        """What the route does with calls that are to be done again."""
        calls, self.shard.retry = self.shard.retry, []
        for call in calls:
            self.shard.submit(call)
            finish(self.shard)

    def _where(self) -> str:
        return f"seed {self.seed}, after {self.done.total()} commands, the last {_short(self._last)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 700 else text[:300] + " … " + text[-300:]
