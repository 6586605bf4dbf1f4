"""Replies that are kept (HotReplies.parts): whatever happens, each of them is what the leader would answer now."""

import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft.core.messages import NORMAL, Entry
from raft.core.quorum import UNBOUNDED
from server.commands import all as all_commands
from server.commands.table import every_command, lookup
from server.keyspace.hot import HotReplies, parts_of_key_max
from server.keyspace.layout import head_key
from server.session import Session
from server.shard.call import Call, Later
from server.shard.effects import encode_effects
from tests.server.bench import Bench
from tests.server.test_hot_replies import World

assert all_commands.loaded

KEPT = sorted(row.name for row in every_command() if row.kept)
LONG = [str(number) * 12 for number in range(130)]
"""So many elements, or so long, that the collection is spread."""
KEYS = ("l", "h", "s", "z", "x", "other")

READS = [
    "LRANGE l 0 -1",
    "LRANGE l 1 2",
    "HGETALL h",
    "HKEYS h",
    "HVALS h",
    "SMEMBERS s",
    "ZRANGE z 0 -1",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZREVRANGE z 0 1",
    "ZRANGEBYSCORE z 1 2",
    "ZREVRANGEBYSCORE z 2 1",
    "ZRANGEBYLEX z - +",
    "ZREVRANGEBYLEX z + -",
    "XRANGE x - +",
    "XREVRANGE x + - COUNT 2",
    *(f"{read} {key} 0 -1" for read in ("LRANGE", "ZRANGE") for key in KEYS),
]
WRITES = [
    "RPUSH l a",
    "RPUSH l " + " ".join(LONG),
    "LSET l 0 b",
    "LPOP l",
    "LTRIM l 0 2",
    "LMOVE l other LEFT RIGHT",
    "HSET h a 1 b 2",
    "HSET h " + " ".join(f"{each} 1" for each in LONG),
    "HINCRBY h a 1",
    "HDEL h a",
    "HPEXPIRE h 100000 FIELDS 1 b",
    "HPERSIST h FIELDS 1 b",
    "SADD s a b",
    "SADD s " + " ".join(LONG),
    "SREM s a",
    "SPOP s",
    "SMOVE s other a",
    "ZADD z 1 a 2 b",
    "ZADD z 3 a",
    "ZADD z " + " ".join(f"1 {each}" for each in LONG),
    "ZINCRBY z 1 a",
    "ZPOPMIN z",
    "ZREMRANGEBYRANK z 0 1",
    "ZRANGESTORE other z 0 -1",
    "XADD x * f v",
    "XADD x 18446744073709551614-1 f v",
    "XADD x * f " + "v" * 1500,
    "XTRIM x MAXLEN 1",
    "XGROUP CREATE x g 0 MKSTREAM",
    "DEL l h s",
    "DEL z x",
    "SET other 1",
    "RENAME l other",
    "RENAME other l",
    "COPY z other REPLACE",
    "COPY h other REPLACE",
    "PEXPIRE l 100000",
    "PERSIST l",
    "MOVE z 1",
    "SWAPDB 0 1",
    "FLUSHDB",
]
SCRIPTS = [
    "redis.call('RPUSH', KEYS[1], 'script')",
    "redis.call('RPUSH', KEYS[1], 'script') error('too bad')",
    "redis.call('SELECT', 1) redis.call('RPUSH', KEYS[1], 'script')",
]
EVENTS = ["settle", "settle", "settle", "apply", "commit", "turn", "refuse", "lose", "nothing"]

steps = st.lists(st.tuples(st.sampled_from(WRITES + SCRIPTS), st.sampled_from(EVENTS)), max_size=20)


class Leader(Bench):
    """A shard whose free replies are settled, as the dispatcher does it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.hot = self.shard.views.hot
        self.shard._on_change = lambda shard: self.hot.clear()

    def run(self, args: list[bytes], protocol: int) -> None:
        row = lookup(args)
        assert row is not None
        reply = self.shard.evaluate(row, args, 0, protocol)
        if row.kept and self.shard.is_free() and reply[:1] != b"-":
            self.shard.settle_part(args, reply)

    def happen(self, event: str, protocol: int = 2) -> None:
        if event in ("commit", "apply", "settle"):
            self.turn()
            self.commit(self.group.last_index)
            if event != "commit":
                self.apply()
            if event == "settle":
                for read in READS:
                    self.run(read.encode().split(b" "), protocol)
        elif event == "turn":
            self.turn()
        elif event == "refuse":  # what was evaluated in this turn did not happen
            self.group.refusing = True
            self.turn()
            self.group.refusing = False
        elif event == "lose":  # and the next leader deletes all
            group = self.group
            space = self.shard.meta().databases[0].space
            deletions: dict[bytes, bytes | None] = {head_key(space, key.encode()): None for key in KEYS}
            self.follow(group.term + 1)
            del group.log[group.commit :]
            entry = encode_effects(self.clock.now_ms, deletions)
            group.log.append(Entry(group.last_index + 1, group.term, NORMAL, entry))
            group.can_propose = True
            self.clock.advance()
            self.lead(group.term + 1)

    def check(self) -> None:
        for db, keys in enumerate(self.hot.parts):
            for key, parts in keys.items():
                for (protocol, *args), reply in parts.items():
                    row = lookup(args)
                    assert row is not None
                    assert args[1] == key
                    assert self.shard.evaluate(row, args, db, protocol) == reply
                    assert self.shard.is_free(), "an uncommitted write is behind it"


@settings(max_examples=100)
@given(steps, st.sampled_from([2, 3]))
def test_what_is_kept_is_what_would_be_answered(steps: list[tuple[str, str]], protocol: int) -> None:
    path = Path(mkdtemp())
    leader = Leader(path)
    try:
        for words, event in steps:
            if words in SCRIPTS:
                leader.run([b"EVAL", words.encode(), b"1", b"l"], protocol)
            else:
                leader.run(words.encode().split(b" "), protocol)
            leader.check()
            leader.happen(event, protocol)
            leader.check()
    finally:
        leader.store.close()
        shutil.rmtree(path)


@pytest.mark.parametrize("name", KEPT)
def test_every_command_that_is_kept_is_among_them(name: str) -> None:
    assert any(read.lower().startswith(name + " ") for read in READS)


def test_it_is_kept_until_the_key_is_written(tmp_path: Path) -> None:
    leader = Leader(tmp_path / "data")
    request = [b"LRANGE", b"l", b"0", b"-1"]
    for words in (b"RPUSH l a", b"LRANGE l 0 -1"):
        leader.run(words.split(b" "), 2)
    assert not leader.hot.parts[0], "what it says is not committed"
    leader.happen("apply")
    leader.run(request, 2)
    leader.run(request, 3)
    assert set(leader.hot.parts[0][b"l"]) == {(2, *request), (3, *request)}
    leader.run([b"RPUSH", b"l", b"b"], 2)
    assert not leader.hot.parts[0]
    leader.happen("apply")
    for words in (b"PEXPIRE l 100000", b"HSET h f v", b"HPEXPIRE h 100000 FIELDS 1 f"):
        leader.run(words.split(b" "), 2)
    leader.happen("apply")
    leader.run(request, 2)
    leader.run([b"HGETALL", b"h"], 2)
    assert not leader.hot.parts[0], "they expire"
    leader.store.close()


def test_it_is_forgotten_with_the_leadership(tmp_path: Path) -> None:
    leader = Leader(tmp_path / "data")
    leader.run([b"RPUSH", b"l", b"a"], 2)
    leader.happen("settle")
    assert leader.hot.parts[0]
    leader.happen("lose")
    leader.check()
    leader.happen("settle")
    leader.check()
    leader.store.close()


@pytest.mark.parametrize("words", ["GET k", "LRANGE l 0 -1"])
def test_it_is_kept_for_its_own_database_whoever_is_served_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Some who wait for a key are left over from a command before, and are served behind this one."""
    monkeypatch.setattr("server.shard.waiters.served_per_round_max", 1)
    leader = Leader(tmp_path / "data")
    request = words.encode().split(b" ")
    row = lookup(request)
    assert row is not None

    def ask(db: int, words: str) -> None:
        args = words.encode().split(b" ")
        row = lookup(args)
        assert row is not None
        leader.shard.submit(Call(row, args, db, 2 + db, Later(lambda reply: None)))

    for db in (0, 1):
        ask(db, f"SET k {db}")
        ask(db, f"RPUSH l {db}")
    for _ in range(3):
        ask(1, "BLPOP q 0")
    leader.happen("apply")
    for db in (0, 1):
        ask(db, words)  # now the heads are at hand
    ask(1, "RPUSH q a b c")
    reply = leader.shard.evaluate(row, request, 0, 2)
    assert b"0" in reply
    assert leader.shard.is_free()
    leader.shard.settle(request[1], reply)
    leader.shard.settle_part(request, reply)
    assert not leader.hot.databases[1]
    assert not leader.hot.parts[1]
    leader.happen("apply")
    leader.store.close()


def ask(world: World, *requests: bytes, protocol: int = 2) -> tuple[int, list[bytes]]:
    world.session.protocol = protocol
    replies = world.dispatcher.hot.answer(world.session, [each.split() for each in requests], 0)
    return len(replies), replies


def test_the_dispatcher_answers_requests_of_one_command() -> None:
    world = World(UNBOUNDED)
    world.hot.keep_part(0, b"h", (2, b"HGETALL", b"h"), b"*0\r\n")
    assert ask(world, b"HGETALL h", b"HGETALL h", b"HGETALL i") == (2, [b"*0\r\n"] * 2)
    assert ask(world, b"HGETALL h", b"HKEYS h") == (1, [b"*0\r\n"])
    assert ask(world, b"HGETALL") == (0, [])
    assert ask(world, b"HGETALL h more") == (0, [])
    assert ask(world, b"HGETALL h", protocol=3) == (0, [])
    world.hot.clear()
    assert ask(world, b"HGETALL h") == (0, [])


def test_without_a_lease_it_does_not() -> None:
    world = World(0)
    world.hot.keep_part(0, b"h", (2, b"HGETALL", b"h"), b"*0\r\n")
    assert ask(world, b"HGETALL h") == (0, [])
    assert isinstance(world.session, Session)


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.keyspace.hot.parts_bytes_max", 100_000)
    hot = HotReplies(1, 1)
    hot.keep_part(0, b"k", (2, b"large"), b"x" * 100_000)
    assert not hot.parts[0]
    for number in range(1000):
        hot.keep_part(0, b"k%d" % number, (2, b"r"), b"x" * 1000)
        assert sum(len(reply) for parts in hot.parts[0].values() for reply in parts.values()) <= 100_000
    for number in range(1000):
        hot.keep_part(0, b"k", (2, b"r%d" % number), b"x")
        assert len(hot.parts[0].get(b"k", {})) <= parts_of_key_max
    hot.clear()
    hot.keep_part(0, b"stays", (2, b"r"), b"x")
    for _ in range(1000):  # written and read in turn
        hot.keep_part(0, b"k", (2, b"r"), b"x" * 1000)
        hot.parts[0].pop(b"k")
    assert b"stays" in hot.parts[0]
