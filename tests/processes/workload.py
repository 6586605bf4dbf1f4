"""Clients that do simple things to few keys, all at the same time, and remember exactly what they saw.

Each client is a thread with a connection to one node (and to another one when that breaks). It mixes GET, SET,
SET NX, SET IFEQ, INCR and DEL, alone and in short pipelines. A third of them only read, from one node each
and with little patience, so that there is always a fresh question for a leader that is paused or cut off: a
client that writes waits there, and would never see whether it still answers reads. Keys live for an era of
`era_s`, so that the history of each stays short enough to judge; those of earlier eras are still read now and
then, and all of them at the end.

What a reply means for the history:

* a value: the operation took place between its sending and its reply;
* UNKNOWN, or no reply: it may have taken place, or may yet;
* TRYAGAIN, CLUSTERDOWN, MOVED: it did not and never will, so it is left out, and the checker finds out if that
  was a lie;
* any other error is a defect, kept in `surprises`.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hiredis

from tests.processes.client import Client, ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import Server, eventually, refused
from tests.processes.linearizability import NEVER, Operation, Reply, save, smallest_wrong_prefix, wrong_keys

era_s = 0.4
keys_per_era = 8
reader_patience_s = 0.2
READS = (("get",), ("scard",), ("smembers",), ("llen",), ("lrange",))
REFUSALS = ("TRYAGAIN", "CLUSTERDOWN", "MOVED")
NOT_A_NUMBER = "ERR value is not an integer"


class Workload(Crew):
    """A context manager: clients run inside of it. Afterwards `assert_linearizable`."""

    def __init__(
        self,
        servers: Sequence[Server],
        seed: int,
        name: str,
        *,
        clients: int = 9,
        pause_s: float = 0.004,
        timeout_s: float = 8.0,
    ) -> None:
        """`servers`: the nodes to use; `name`: begins every key; `pause_s`: mean pause between two requests of
        a client."""
        self.servers = list(servers)
        self.seed = seed
        self.name = name
        self.history: list[Operation] = []
        self.surprises: list[str] = []
        self.refused: Counter[str] = Counter()
        self._pause_s = pause_s
        self._timeout_s = timeout_s
        self._start_s = time.monotonic()
        self._lock = threading.Lock()
        super().__init__(
            *(partial(self._run, number, number < clients * 2 // 3) for number in range(clients))
        )

    # -- results ----------------------------------------------------------------------------------------------------

    def successes(self, since_ns: int) -> int:
        """Writes that were answered with success and began after `since_ns` (time.monotonic_ns)."""
        with self._lock:
            return sum(
                op.sent_ns > since_ns and op.command not in READS and not op.unknown for op in self.history
            )

    def wait_for_successes(self) -> None:
        """Wait until some writes were answered with success that began after this was called, and there is something to
        judge."""
        since_ns = time.monotonic_ns()
        eventually(
            lambda: self.successes(since_ns) > 0 and len(self.history) > 100, "writes go on after the faults"
        )

    def longest_gap_s(self) -> float:
        """The longest time in which no write of any client was answered."""
        with self._lock:
            done = sorted(op.done_ns for op in self.history if op.command not in READS and not op.unknown)
        return max((later - earlier for earlier, later in itertools.pairwise(done)), default=0) / 1e9

    def read_everything(self, server: Server) -> None:
        """Add a last read of every key to the history."""
        keys = sorted({operation.key for operation in self.history})
        with server.client() as client:
            for start in range(0, len(keys), 500):
                chunk = keys[start : start + 500]
                reads = [self._read_of(key) for key in chunk]
                requests = [_request(key, read) for key, read in zip(chunk, reads, strict=True)]
                while True:
                    sent_ns = time.monotonic_ns()
                    replies = client.pipeline(*requests)
                    if not any(map(refused, replies)):
                        break
                for key, read, reply in zip(chunk, reads, replies, strict=True):
                    assert not isinstance(reply, hiredis.ReplyError), reply
                    self.history.append(
                        Operation("last", key, read, sent_ns, time.monotonic_ns(), _text(reply, read))
                    )

    def assert_linearizable(self, directory: Path) -> None:
        """The history is possible and nothing surprising was said; otherwise it is kept in `directory`."""
        assert not self.surprises, self.surprises[:5]
        wrong = wrong_keys(self.history)
        if wrong:
            file = directory / f"history-{self.name}-{self.seed}.jsonl"
            save(file, self.history)
            story = smallest_wrong_prefix([op for op in self.history if op.key == wrong[0]])
            raise AssertionError(
                f"seed {self.seed}: {len(wrong)} keys are not linearizable, among them {wrong[:5]}; the whole"
                f" history is in {file} (judge it again: python -m tests.processes --judge {file})."
                f" The first of them:\n{tell(story)}"
            )

    # -- clients ----------------------------------------------------------------------------------------------------

    def _run(self, number: int, writes: bool, over: threading.Event) -> None:
        rng = random.Random(f"{self.seed}/{number}")
        at = number
        serial = 0
        known: dict[str, Reply] = {}
        while not over.is_set():
            server = self.servers[at % len(self.servers)]
            if writes:
                at += 1
            try:
                with Client(server.port, self._timeout_s if writes else reader_patience_s) as client:
                    while not over.is_set():
                        count = rng.choice((1, 1, 1, 1, 2, 4))
                        requests = []
                        for _ in range(count):
                            serial += 1
                            key, command = self._request(rng, f"{number}.{serial}", known)
                            requests.append((key, command if writes else self._read_of(key)))
                        self._do(client, f"{number}@{server.name}", requests, known)
                        time.sleep(rng.expovariate(1 / (self._pause_s * count)))
            except ConnectionLost:
                over.wait(0.03)

    def _request(
        self, rng: random.Random, value: str, known: dict[str, Reply]
    ) -> tuple[str, tuple[str, ...]]:
        era = int((time.monotonic() - self._start_s) / era_s)
        if era and rng.random() < 0.05:
            key = self._key(rng.randrange(era), rng.randrange(keys_per_era))
            return key, self._read_of(key)
        number = rng.randrange(keys_per_era)
        key = self._key(era, number)
        return key, self._command(rng, key, number, value, known)

    def _read_of(self, key: str) -> tuple[str, ...]:
        """The command that shows the whole value of a key."""
        return ("get",)

    def _command(
        self, rng: random.Random, key: str, number: int, value: str, known: dict[str, Reply]
    ) -> tuple[str, ...]:
        """What to do with the key, which is the era's `number`th."""
        if number % 4 == 0:  # a counter
            return rng.choice((("incr",), ("incr",), ("get",), ("del",)))
        draw = rng.random()
        if draw < 0.4:
            return ("get",)
        if draw < 0.65:
            return ("set", value)
        if draw < 0.75:
            return ("set", value, "nx")
        if draw < 0.9:
            return ("set", value, "ifeq", str(known.get(key) or value))
        return ("incr",) if draw < 0.93 else ("del",)

    def _key(self, era: int, number: int) -> str:
        return f"{self.name}:{era}:{number}"

    def _do(
        self, client: Client, name: str, requests: list[tuple[str, tuple[str, ...]]], known: dict[str, Reply]
    ) -> None:
        """Send requests in one go and note what came of each. Raises ConnectionLost."""
        sent_ns = time.monotonic_ns()
        answered = 0
        try:
            client.send(*(_request(key, command) for key, command in requests))
            for key, command in requests:
                reply = client.receive()
                answered += 1
                self._note(name, key, command, sent_ns, reply, known)
        finally:
            with self._lock:
                for key, command in requests[answered:]:
                    if command in READS:
                        continue  # a read that nobody saw the answer of says nothing
                    self.history.append(Operation(name, key, command, sent_ns, NEVER))

    def _note(
        self, name: str, key: str, command: tuple[str, ...], sent_ns: int, reply: Any, known: dict[str, Reply]
    ) -> None:
        done_ns = time.monotonic_ns()
        value: Reply
        if isinstance(reply, hiredis.ReplyError):
            text = str(reply)
            code = text.split()[0]
            if code in REFUSALS:
                self.refused[code] += 1
                return
            if code == "UNKNOWN":
                done_ns, value = NEVER, None
            elif text.startswith(NOT_A_NUMBER):
                value = "ERR"
            else:
                self.surprises.append(f"{name}: {command} {key}: {text}")
                return
        else:
            value = _text(reply, command)
            if command == ("get",):
                known[key] = value
        with self._lock:
            self.history.append(Operation(name, key, command, sent_ns, done_ns, value))


class CollectionWorkload(Workload):
    """The same with small sets and queues instead of strings."""

    def _read_of(self, key: str) -> tuple[str, ...]:
        return ("smembers",) if key.endswith(_SETS) else ("lrange",)

    def _command(
        self, rng: random.Random, key: str, number: int, value: str, known: dict[str, Reply]
    ) -> tuple[str, ...]:
        if key.endswith(_SETS):
            member = rng.choice("abc")
            return rng.choice(
                (*(("sadd", member), ("srem", member), ("sismember", member)), ("scard",), ("smembers",))
            )
        return rng.choice((("rpush", value), ("rpush", value), ("lpop",), ("rpop",), ("llen",), ("lrange",)))


_SETS = tuple(str(number) for number in range(0, keys_per_era, 2))
"""Keys of these numbers are sets, the others lists."""


def _request(key: str, command: tuple[str, ...]) -> tuple[str | bytes | int, ...]:
    """What is sent for an operation."""
    return (command[0], key, *command[1:]) if command != ("lrange",) else ("lrange", key, "0", "-1")


def _text(reply: Any, command: tuple[str, ...]) -> Reply:
    if isinstance(reply, list):
        elements = [element.decode() for element in reply]
        return ",".join(sorted(elements) if command == ("smembers",) else elements)
    if isinstance(reply, bytes):
        return reply.decode()
    assert reply is None or isinstance(reply, int | str), reply
    return reply


def tell(operations: Sequence[Operation]) -> str:
    """A history of one key for people: milliseconds from its beginning, client, command, reply."""
    start_ns = min(op.sent_ns for op in operations)
    lines = []
    for op in sorted(operations, key=lambda op: op.sent_ns):
        done = "?" if op.unknown else f"{(op.done_ns - start_ns) / 1e6:.2f}"
        reply = "unknown" if op.unknown else repr(op.reply)
        lines.append(
            f"{(op.sent_ns - start_ns) / 1e6:10.2f} … {done:>10}  {op.client:8} {' '.join(op.command)} -> {reply}"
        )
    return "\n".join(lines)
