"""Commands that take long, in one group under the test's hand. With slices of no length every breath is a pause, and
whatever may take long does."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from raft.core.messages import NORMAL, Entry
from server.commands.table import lookup
from server.keyspace import breath
from server.keyspace.events import TRACKED
from server.keyspace.layout import REVISION_AT, REVISION_OFFSET
from server.keyspace.notes import ScriptNotes
from server.shard.call import Call, Later, Transaction
from server.shard.clock import TurnClock
from server.shard.effects import decode_effects
from server.shard.route import Route
from server.shard.work import INTERRUPTED, KILLED, NOT_BUSY, UNKILLABLE
from tests.server.bench import Bench

LOOP = "for i=1,200000 do end"
"""A script breathes every 2,000 instructions."""
MEMBERS = [str(number) for number in range(300)]


class LongBench(Bench):
    """A bench whose shard is at work until it is told to go on."""

    def finish(self) -> int:
        """Go on in turns of their own until the work is done; how many it took."""
        slices = 0
        while self.shard.work is not None:
            self.clock.advance()
            self.shard.worker.go_on()
            self.shard.flush()
            slices += 1
        return slices

    def settle(self) -> None:
        """Commit and apply all there is."""
        self.commit(self.group.last_index)
        self.apply()

    def run(self, *words: str) -> bytes:
        """The reply to a command, when all is settled."""
        replies = self.ask(*words)
        self.turn()
        self.finish()
        self.settle()
        [reply] = replies
        return reply

    def transact(
        self, *requests: list[str], watched: list[tuple[int, bytes, int]] | None = None
    ) -> list[bytes]:
        """Send an EXEC; the list gets its reply."""
        replies: list[bytes] = []
        rows = [[word.encode() for word in words] for words in requests]
        transaction = Transaction([(row, args, 0) for args in rows if (row := lookup(args))], watched or [])
        row = lookup([b"exec"])
        assert row is not None
        self.shard.submit(Call(row, [b"exec"], 0, 2, Later(replies.append), transaction))
        return replies


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LongBench]:
    bench = LongBench(tmp_path / "data")
    yield bench
    bench.shard.worker.end(b"")
    bench.store.close()


@pytest.fixture
def no_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breath, "slice_s", 0.0)


def test_a_long_command_leaves_and_comes_back(bench: LongBench, no_slice: None) -> None:
    before = bench.ask("SET", "a", "1")
    index = bench.group.last_index
    reply = bench.ask("SADD", "s", *MEMBERS)
    assert bench.group.last_index == index + 1, "what came before it is proposed without it"
    assert not bench.shard.ready
    bench.turn()
    bench.commit(bench.group.last_index)
    assert before == [b"+OK\r\n"]
    assert bench.finish() > 100
    assert bench.shard.ready
    assert bench.group.last_index == index + 2, "all that it wrote is one entry"
    assert not reply
    bench.commit(bench.group.last_index)
    assert reply == [b":300\r\n"]
    assert bench.run("SCARD", "s") == b":300\r\n"


ELEMENTS = [str(number) for number in range(2000)]
PAIRS = [word for each in ELEMENTS for word in (each, each)]
PLACES = [word for number in range(2000) for word in (str(number / 20), "10", str(number))]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["SADD", "k", "a", "b"], ["SRANDMEMBER", "k", "-20000"]),
        (["HSET", "k", "a", "1"], ["HRANDFIELD", "k", "-20000"]),
        (["ZADD", "k", "1", "a"], ["ZRANDMEMBER", "k", "-20000"]),
        (["ZADD", "k", *PAIRS], ["ZRANDMEMBER", "k", "1900"]),
        (["SADD", "k", *ELEMENTS], ["SRANDMEMBER", "k", "1900"]),
        (["SADD", "k", *ELEMENTS], ["SDIFF", "k", "k"]),
        (["ZADD", "k", *PAIRS], ["ZRANGE", "k", "0", "-1", "WITHSCORES"]),
        (
            ["GEOADD", "k", *PLACES],
            ["GEOSEARCH", "k", "FROMMEMBER", "1", "BYRADIUS", "20000", "km", "WITHDIST"],
        ),
        (["RPUSH", "k", *ELEMENTS], ["SORT", "k", "GET", "#"]),
        (["SET", "k", "x" * 200_000], ["DUMP", "k"]),
        (["RPUSH", "k", *ELEMENTS], ["LINSERT", "k", "BEFORE", "1000", "x"]),
    ],
)
def test_others_go_on_while_a_reply_is_made(
    bench: LongBench, no_slice: None, written: list[str], read: list[str]
) -> None:
    bench.run(*written)
    bench.ask(*read)
    bench.turn()
    # Twice over the elements: they are read, and something is made of them.
    assert bench.finish() >= 2 * (1900 // breath.rows_between_breaths)


def test_a_count_by_words_over_different_scores_walks_in_slices(bench: LongBench, no_slice: None) -> None:
    bench.run("ZADD", "k", *PAIRS)
    bench.ask("ZLEXCOUNT", "k", "-", "+")
    bench.turn()
    assert bench.finish() >= len(ELEMENTS) // breath.rows_between_breaths


@pytest.mark.parametrize("call", ["call", "pcall"])
def test_a_script_gets_a_long_reply_in_slices(bench: LongBench, no_slice: None, call: str) -> None:
    bench.run("ZADD", "k", *PAIRS)
    script = f"return #redis.{call}('zrange', 'k', 0, -1, 'withscores')"
    reply = bench.ask("EVAL", script, "1", "k")
    bench.turn()
    assert bench.finish() >= 4 * (len(ELEMENTS) // breath.rows_between_breaths)
    bench.settle()
    assert reply == [b":4000\r\n"]


def test_a_script_of_few_instructions_that_take_long_goes_on_in_slices(
    bench: LongBench, no_slice: None
) -> None:
    reply = bench.ask("EVAL", "local a = 'x' for i=1,4000 do a = a:rep(1):upper() end return a", "0")
    bench.turn()
    assert bench.finish() >= 10
    bench.settle()
    assert reply == [b"$1\r\nX\r\n"]


SAME_THINGS = "local t = {} for i = 1, 40 do t = {t, t} end return t"
"""A reply without end, of forty tables."""


def test_what_a_script_returns_is_encoded_in_slices(bench: LongBench, no_slice: None) -> None:
    reply = bench.ask("EVAL", "return {unpack(ARGV)}", "0", *ELEMENTS)
    bench.turn()
    assert bench.finish() > len(ELEMENTS) // 500
    bench.settle()
    assert reply[0].startswith(b"*2000\r\n$1\r\n0\r\n")


def kill_script(bench: LongBench) -> None:
    """After some slices of it."""
    for _ in range(5):
        bench.turn()
        bench.shard.worker.go_on()
    assert bench.shard.worker.kill_script(function=False) is None
    bench.finish()
    bench.settle()


def test_a_script_can_be_killed_while_its_reply_is_encoded(bench: LongBench, no_slice: None) -> None:
    reply = bench.ask("EVAL", SAME_THINGS, "0")
    kill_script(bench)
    assert b"Script killed by user with SCRIPT KILL." in reply[0]
    assert bench.run("EVAL", "return {1, {ok = 'fine'}}", "0") == b"*2\r\n:1\r\n+fine\r\n"


def test_a_reply_without_end_ends_with_the_leadership(bench: LongBench, no_slice: None) -> None:
    bench.ask("EVAL", SAME_THINGS, "0")
    for _ in range(5):
        bench.turn()
        bench.shard.worker.go_on()
    bench.shard.worker.end(b"")
    assert bench.run("EVAL", "return 1", "0") == b":1\r\n"


def test_a_script_ends_while_it_gets_a_long_reply(bench: LongBench, no_slice: None) -> None:
    bench.run("SADD", "k", *ELEMENTS)
    reply = bench.ask("EVAL", "redis.call('smembers', 'k')", "1", "k")
    bench.turn()
    for _ in range(len(ELEMENTS) // breath.rows_between_breaths + 6):
        bench.shard.worker.go_on()
    assert bench.shard.work is not None
    bench.shard.worker.end(KILLED)
    assert reply == [b"-" + KILLED + b"\r\n"]
    assert bench.run("EVAL", "return #redis.call('smembers', 'k')", "1", "k") == b":2000\r\n"


def test_a_stream_is_described_in_slices(bench: LongBench, no_slice: None) -> None:
    for number in range(1, 1000):
        bench.run("XADD", "k", f"{number}-0", "f", "v")
    bench.ask("XINFO", "STREAM", "k", "FULL", "COUNT", "0")
    bench.turn()
    assert bench.finish() >= 1000 // breath.rows_between_breaths


def test_what_is_applied_meanwhile_is_still_seen(bench: LongBench, no_slice: None) -> None:
    bench.run("SADD", "s", *MEMBERS)
    bench.ask("SREM", "s", "7")
    bench.turn()
    reply = bench.ask("SMEMBERS", "s")
    bench.turn()
    bench.shard.worker.go_on()
    bench.settle()  # the scan has begun before
    assert bench.shard.work is not None
    bench.finish()
    assert reply[0].startswith(b"*299\r\n")
    assert not bench.shard.evaluator.base.pending


def test_the_entry_of_a_long_command_is_made_in_pieces(bench: LongBench, no_slice: None) -> None:
    waiting = bench.ask("BLPOP", "k", "0")
    bench.ask("RPUSH", "k", *ELEMENTS)
    bench.turn()
    bench.finish()
    entry = bench.group.log[-1]
    assert len(list(decode_effects(entry.data).pieces())) > len(ELEMENTS) // 1000
    bench.settle()
    assert waiting == [b"*2\r\n$1\r\nk\r\n$1\r\n0\r\n"]
    assert bench.run("LLEN", "k") == b":1999\r\n"
    assert bench.run("LINDEX", "k", "0") == b"$1\r\n1\r\n"
    bench.group.can_propose = True
    bench.follow(term=2)
    bench.lead(term=3)  # what is in the data alone
    assert bench.run("LLEN", "k") == b":1999\r\n"
    assert bench.run("LINDEX", "k", "0") == b"$1\r\n1\r\n"
    assert bench.run("DBSIZE") == b":1\r\n"


def test_an_entry_that_comes_in_between_moves_its_revision(bench: LongBench, no_slice: None) -> None:
    bench.ask("SADD", "s", *MEMBERS)
    bench.turn()
    bench.shard.worker.go_on()
    group = bench.group
    group.log.append(
        Entry(group.last_index + 1, group.term, NORMAL, b"")
    )  # Raft's own: a change of members ends
    bench.finish()
    record = bench.shard.evaluator.view.record(b"s")
    assert record is not None
    assert REVISION_AT.unpack_from(record, REVISION_OFFSET)[0] >> 16 == group.last_index
    bench.settle()
    assert bench.run("SCARD", "s") == b":300\r\n"


def test_a_leadership_that_is_lost_takes_it_along(bench: LongBench, no_slice: None) -> None:
    bench.run("SET", "a", "1")
    index = bench.group.last_index
    reply = bench.ask("EVAL", f"redis.call('set','k','v') redis.call('del','a') {LOOP}", "0")
    for _ in range(4):
        bench.turn()
        bench.shard.worker.go_on()
    assert bench.shard.work is not None
    bench.follow(term=2)
    assert reply == [b"-" + INTERRUPTED + b"\r\n"]
    assert bench.shard.work is None
    assert bench.group.last_index == index
    bench.group.can_propose = True
    bench.lead(term=3)
    assert bench.run("DBSIZE") == b":1\r\n"
    assert bench.run("GET", "k") == b"$-1\r\n"


def test_a_killed_client_s_command_did_not_happen(bench: LongBench, no_slice: None) -> None:
    reply = bench.ask("EVAL", f"redis.call('set','k','v') redis.call('set','l','v') {LOOP}", "0")
    for _ in range(12):
        bench.turn()
        bench.shard.worker.go_on()
    work = bench.shard.work
    assert work is not None
    assert work.call is not None
    bench.shard.worker.kill_client(work.call)
    assert reply == [b"-" + KILLED + b"\r\n"]
    assert bench.shard.ready
    assert bench.run("DBSIZE") == b":0\r\n"
    assert bench.run("SET", "k", "v") == b"+OK\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local c=coroutine.wrap(function() while true do end end) c()",
        "while true do xpcall(function() while true do end end, function() end) end",
        "while true do redis.call('get','k') end",
        "while true do pcall(redis.call,'get','k') end",
    ],
)
def test_a_script_that_has_written_nothing_can_be_killed(bench: LongBench, no_slice: None, text: str) -> None:
    reply = bench.ask("EVAL", text, "0")
    kill_script(bench)
    assert b"Script killed by user with SCRIPT KILL." in reply[0]
    assert bench.run("EVAL", "return 1", "0") == b":1\r\n"


@pytest.mark.parametrize("text", ["while true do end", "while true do pcall(redis.call,'set','k','v') end"])
def test_whatever_a_script_catches_it_ends_with_the_leadership(
    bench: LongBench, no_slice: None, text: str
) -> None:
    reply = bench.ask("EVAL", text, "0")
    for _ in range(7):
        bench.turn()
        bench.shard.worker.go_on()
    bench.follow(term=2)
    assert reply == [b"-" + INTERRUPTED + b"\r\n"]


def test_a_script_that_has_written_can_not_be_killed(bench: LongBench, no_slice: None) -> None:
    assert bench.shard.worker.kill_script(function=False) == NOT_BUSY
    reply = bench.ask("EVAL", f"redis.call('set','k','v') {LOOP} return 5", "0")
    for _ in range(12):
        bench.turn()
        bench.shard.worker.go_on()
    assert bench.shard.worker.kill_script(function=False) == UNKILLABLE
    bench.finish()
    bench.settle()
    assert reply == [b":5\r\n"]


def test_a_command_that_is_no_script_can_not_be_killed(bench: LongBench, no_slice: None) -> None:
    bench.ask("SADD", "s", *MEMBERS)
    bench.turn()
    assert bench.shard.worker.kill_script(function=False) == NOT_BUSY
    assert bench.shard.worker.busy is None


@pytest.mark.parametrize("made", ["t[i] = i", "t['k' .. i] = i"], ids=["array", "map"])
def test_large_tables_are_packed_and_unpacked_with_breaths(
    bench: LongBench, no_slice: None, made: str
) -> None:
    """A script that packed some 100,000 elements cost its group the leader."""
    text = f"local t = {{}} for i = 1, 300 do {made} end return #cmsgpack.unpack(cmsgpack.pack(t))"
    reply = bench.ask("EVAL", text, "0")
    assert bench.finish() > 3 * 300
    bench.settle()
    assert reply[0][:1] == b":"


def test_a_script_that_packs_ends_with_the_leadership(bench: LongBench, no_slice: None) -> None:
    text = "local t = {1, 2, 3, 4, 5} while true do pcall(cmsgpack.pack, t) end"
    bench.ask("EVAL", text, "0")
    for _ in range(5):
        bench.turn()
        bench.shard.worker.go_on()
    bench.shard.worker.end(b"")
    assert bench.run("EVAL", "return 1", "0") == b":1\r\n"


def test_scripts_of_two_groups_go_on_side_by_side(bench: LongBench, tmp_path: Path, no_slice: None) -> None:
    other = LongBench(tmp_path / "other")
    first = bench.ask("EVAL", f"local n=0 {LOOP.replace('end', 'n=n+1 end')} return n", "0")
    second = other.ask("EVAL", f"local n=0 {LOOP.replace('end', 'n=n+2 end')} return n", "0")
    works = [bench, other]
    while works:
        for one in list(works):
            one.turn()
            one.shard.worker.go_on()
            one.shard.flush()
            if one.shard.work is None:
                works.remove(one)
                one.settle()
    other.store.close()
    assert (first, second) == ([b":200000\r\n"], [b":400000\r\n"])


def test_a_long_transaction_is_one_entry(bench: LongBench, no_slice: None) -> None:
    bench.run("SET", "text", "x")
    before = bench.group.last_index
    replies = bench.transact(
        ["SADD", "s", *MEMBERS], ["INCR", "text"], ["SET", "a", "1"], ["SCARD", "s"], ["DEL", "text"]
    )
    bench.turn()
    assert bench.finish() > 100
    assert bench.group.last_index == before + 1
    bench.settle()
    error = b"-ERR value is not an integer or out of range\r\n"
    assert replies == [b"*5\r\n:300\r\n" + error + b"+OK\r\n:300\r\n:1\r\n"]
    assert bench.run("DBSIZE") == b":2\r\n"


UNCHANGED = -(1 << 62)
"""A revision of a missing key that is newer than any deletion."""


def test_a_transaction_of_many_commands_goes_on_slice_by_slice(bench: LongBench, no_slice: None) -> None:
    before = bench.group.last_index
    replies = bench.transact(*(["SET", member, "v"] for member in MEMBERS))
    bench.turn()
    assert bench.finish() >= len(MEMBERS)
    assert bench.group.last_index == before + 1
    bench.settle()
    assert replies == [b"*300\r\n" + b"+OK\r\n" * 300]


def test_many_watched_keys_are_looked_at_slice_by_slice(bench: LongBench, no_slice: None) -> None:
    watched = [(0, member.encode(), UNCHANGED) for member in MEMBERS]
    replies = bench.transact(["SET", "k", "v"], watched=watched)
    bench.turn()
    assert bench.finish() >= len(MEMBERS)
    bench.settle()
    assert replies == [b"*1\r\n+OK\r\n"]


def test_what_is_written_behind_many_watched_keys_has_its_own_entrys_revision(bench: LongBench) -> None:
    watched = [(0, b"w%d" % number, UNCHANGED) for number in range(0x10001)]
    bench.transact(["SET", "k", "v"], watched=watched)
    bench.turn()
    bench.finish()
    bench.settle()
    assert bench.revision("k") >> 16 == bench.group.last_index


@pytest.mark.parametrize("command", ["EXISTS", "_WATCH", "HMGET", "SMISMEMBER", "ZMSCORE", "GEOHASH"])
def test_many_keys_and_elements_are_looked_for_slice_by_slice(
    bench: LongBench, no_slice: None, command: str
) -> None:
    bench.ask(command, *ELEMENTS)
    bench.turn()
    assert bench.finish() >= len(ELEMENTS) // breath.rows_between_breaths


def test_who_waits_is_served_by_a_long_command(bench: LongBench, no_slice: None) -> None:
    waiting = bench.ask("BLPOP", "l", "0")
    bench.turn()
    bench.finish()
    assert not waiting
    reply = bench.ask("RPUSH", "l", *MEMBERS)
    bench.turn()
    bench.finish()
    bench.settle()
    assert reply == [b":300\r\n"]
    assert waiting == [b"*2\r\n$1\r\nl\r\n$1\r\n0\r\n"]


def test_calls_wait_behind_it_and_are_told_busy_when_it_is_a_script(bench: LongBench, no_slice: None) -> None:
    route = Route(
        1, 1, bench.shard, bench.clock, leader_wait_s=3600.0, hint=1, send=lambda *_: False,
        cancel=lambda *_: False, forget=lambda _: None, on_dirty=lambda _: None,
    )  # fmt: skip
    route.update()
    assert route.here is not None
    replies: dict[str, list[bytes]] = {}

    def send(name: str, *words: str) -> None:
        args = [word.encode() for word in words]
        row = lookup(args)
        assert row is not None
        replies[name] = []
        route.submit(Call(row, args, 0, 2, Later(replies[name].append)))

    send("script", "EVAL", "while true do end", "0")
    route.here = None  # as the router has it when a shard is not ready any more
    send("first", "GET", "k")
    bench.turn()
    bench.shard.worker.go_on()
    route.check_deadlines()
    assert not replies["first"]
    bench.shard.worker.busy_after_s = 1e-9
    route.check_deadlines()
    send("second", "GET", "k")
    assert replies["first"] == replies["second"]
    assert replies["first"][0].startswith(b"-BUSY ")
    send("kill", "_SCRIPTKILL", "script")
    assert replies["kill"] == [b"+OK\r\n"]
    bench.finish()
    route.update()
    send("third", "GET", "k")
    bench.turn()
    bench.finish()
    bench.settle()
    assert replies["third"] == [b"$-1\r\n"]


def _cases() -> Iterator[tuple[str, list[list[str]]]]:
    for family in (
        "strings",
        "keys",
        "hashes",
        "lists",
        "sets",
        "zsets",
        "streams",
        "geo",
        "scripting",
        "bits",
    ):
        for case in import_module(f"tests.conformance.cases.{family}").CASES:
            steps = [
                [word.decode("latin-1") if isinstance(word, bytes) else word for word in step]
                for step in case.steps
            ]
            yield f"{family}-{case.name}", steps


def _replies(bench: LongBench, steps: list[list[str]]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for words in steps:
        args = [word.encode("latin-1") for word in words]
        row = lookup(args)
        if row is None or row.is_container or row.is_node or row.blocks:
            continue
        if (row.arity > 0 and len(args) != row.arity) or len(args) < -row.arity:
            continue
        replies: list[bytes] = []
        bench.shard.submit(Call(row, args, 0, 2, Later(replies.append)))
        bench.turn()
        bench.finish()
        bench.settle()
        found.append(replies[0] if replies else None)
    return found


class StillClock(TurnClock):
    """It is always the same time."""

    def refresh(self) -> None:
        self.now_s, self.now_ms = 1.7e9, 1_700_000_000_000


def test_every_command_says_the_same_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the conformance cases ask, once at once and once with a pause at every breath."""
    monkeypatch.setattr("tests.server.bench.TurnClock", StillClock)
    whole, bench = LongBench(tmp_path / "whole"), LongBench(tmp_path / "paused")
    paused = 0
    for number, (name, steps) in enumerate(_cases()):
        for one in (bench, whole):
            one.shard.views.random.seed(number)
            one.run("FLUSHALL")
        monkeypatch.setattr(breath, "slice_s", 60.0)
        expected = _replies(whole, steps)
        monkeypatch.setattr(breath, "slice_s", 0.0)
        assert _replies(bench, steps) == expected, name
        paused += 1
    assert paused > 300
    whole.store.close()
    bench.store.close()


def test_what_it_writes_is_its_clients_work(bench: LongBench, no_slice: None) -> None:
    bench.shard.set_notify(TRACKED)
    told: list[bytes] = []
    bench.shard._on_events = lambda events: told.extend(name for _, name, _, _ in events)
    row = lookup([b"eval"])
    assert row is not None
    script = f"{LOOP} redis.call('set',KEYS[1],'1')".encode()
    bench.shard.submit(Call(row, [b"EVAL", script, b"1", b"k"], 0, 2, Later(lambda _: None), origin=b"1:7"))
    assert bench.shard.work is not None
    bench.finish()
    bench.settle()
    assert told == [b"1:7"]
    assert bench.shard.evaluator.view.origin == b""


def test_what_a_long_script_reads_is_known_when_it_ends(bench: LongBench, no_slice: None) -> None:
    notes = ScriptNotes(shown=True)
    known: list[tuple[set[bytes] | None, bool]] = []
    notes.then = lambda: known.append((notes.keys, notes.complete))
    row = lookup([b"eval"])
    assert row is not None
    script = f"{LOOP} return redis.call('get','undeclared')".encode()
    replies: list[bytes] = []
    call = Call(row, [b"EVAL", script, b"1", b"k"], 0, 2, Later(replies.append))
    call.notes = notes
    bench.shard.submit(call)
    assert not known
    bench.finish()
    assert known == [({b"undeclared"}, True)]
    assert notes.shown == [(0, b'"get" "undeclared"')]
    bench.settle()
    assert replies == [b"$-1\r\n"]
    assert bench.shard.evaluator.view.script_notes is None


def _slices(bench: LongBench, *words: str) -> tuple[bytes, int]:
    """The reply to a command that is done in slices, and how many it took."""
    replies = bench.ask(*words)
    bench.turn()
    slices = bench.finish()
    bench.settle()
    return replies[0], slices


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("words", "slices_min"),
    [
        (["BITOP", "NOT", "r", "zeros"], 15),
        (["BITOP", "AND", "r", *["zeros"] * 10], 100),
        (["BITPOS", "zeros", "1"], 15),
        (["BITCOUNT", "zeros"], 15),
        (["LCS", "zeros", "short", "LEN"], 15),
    ],
)
def test_a_long_string_is_read_piece_by_piece(
    bench: LongBench, no_slice: None, words: list[str], slices_min: int
) -> None:
    bench.run("SET", "zeros", "\0" * MEGABYTE)
    bench.run("SET", "short", "abc")
    assert _slices(bench, *words)[1] > slices_min


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_many_elements_are_sorted_part_by_part(
    bench: LongBench, monkeypatch: pytest.MonkeyPatch, alpha: bool, descending: bool
) -> None:
    words = ["SORT", "l", *(["ALPHA"] if alpha else []), *(["DESC"] if descending else [])]
    bench.run("RPUSH", "l", *(str(number * 7919 % 1009) for number in range(3000)))
    expected = bench.run(*words)
    monkeypatch.setattr("server.types.sort.sorted_at_once_max", 64)
    assert bench.run(*words) == expected
    monkeypatch.setattr(breath, "slice_s", 0.0)
    assert _slices(bench, *words) == (expected, pytest.approx(200, abs=100))


def test_a_set_is_written_piece_by_piece(bench: LongBench, no_slice: None) -> None:
    bench.run("SADD", "s", *map(str, range(5000)))
    reply, slices = _slices(bench, "SMEMBERS", "s")
    assert reply.startswith(b"*5000\r\n")
    assert slices > 60


def test_a_long_reply_is_written_piece_by_piece(bench: LongBench, no_slice: None) -> None:
    bench.run("RPUSH", "l", *map(str, range(5000)))
    reply, slices = _slices(bench, "LRANGE", "l", "0", "-1")
    assert reply == b"*5000\r\n" + b"".join(b"$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(5000))
    assert slices > 60, "as many for the reply as for the elements"


def test_a_script_that_has_hardly_run_is_not_what_others_wait_for(bench: LongBench, no_slice: None) -> None:
    bench.shard.worker.busy_after_s = 5.0
    bench.ask("EVAL", LOOP, "0")
    work = bench.shard.work
    assert work is not None
    work.began_s -= 60
    assert bench.shard.worker.busy is None
    work.worked_s = 1.0
    assert bench.shard.worker.busy is not None
    bench.finish()


@pytest.mark.parametrize("how", ["killed", "leadership"])
def test_what_would_have_waited_in_a_transaction_that_was_ended_is_nobodys(
    bench: LongBench, no_slice: None, how: str
) -> None:
    """A BLPOP in a transaction waits for nothing, nor does the next command in its place."""
    replies = bench.transact(["BLPOP", "none", "0"], ["SADD", "s", *MEMBERS])
    bench.turn()
    bench.shard.worker.go_on()
    work = bench.shard.work
    assert work is not None
    if how == "killed":
        assert work.call is not None
        bench.shard.worker.kill_client(work.call)
    else:
        bench.follow(bench.group.term + 1)
        bench.group.can_propose = True
        bench.lead(bench.group.term + 1)
    assert replies[0].startswith(b"-TRYAGAIN")
    assert bench.run("SET", "k", "v") == b"+OK\r\n"
    assert not bench.shard.waiters
