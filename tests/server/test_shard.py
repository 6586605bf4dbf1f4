"""The leader of a group: what a reply waits for, and what becomes of it when the leadership is lost."""

from collections.abc import Callable, Iterator

import pytest

from raft.core.messages import NORMAL, Entry
from raft.core.node import Role
from server.commands import all as all_commands
from server.commands.table import lookup
from server.errors import OUTCOME_UNKNOWN
from server.keyspace.events import ALL
from server.shard import expirer
from server.shard import shard as shard_module
from server.shard.call import Call, Later, Transaction
from server.shard.clock import boot_time_us
from server.shard.overlay import Overlay
from server.shard.route import Route
from server.shard.shard import lag_leading, lag_looked_at
from tests.server.bench import Bench

assert all_commands.loaded
WITH_EXPIRY = "for number = ARGV[1], ARGV[2] do redis.call('SET', number, 'v', 'PX', 5000) end"


def test_a_write_is_answered_when_its_entry_commits_and_not_before(make: Callable[..., Bench]) -> None:
    bench = make()
    reply = bench.ask("SET", "k", "v")
    bench.turn()
    assert not reply
    bench.commit(bench.group.last_index)
    assert reply == [b"+OK\r\n"]


def test_all_writes_of_a_turn_are_one_entry(make: Callable[..., Bench]) -> None:
    bench = make()
    before = bench.group.last_index
    replies = [bench.ask("INCR", "k") for _ in range(10)]
    bench.turn()
    assert bench.group.last_index == before + 1
    bench.commit(bench.group.last_index)
    assert [reply[0] for reply in replies] == [b":%d\r\n" % number for number in range(1, 11)]


def test_a_read_of_something_uncommitted_waits_for_it(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.ask("SET", "k", "v")
    bench.turn()
    read, other = bench.ask("GET", "k"), bench.ask("GET", "other")
    assert other == [b"$-1\r\n"], "it saw nothing uncommitted"
    assert not read
    bench.commit(bench.group.last_index)
    assert read == [b"$1\r\nv\r\n"]


@pytest.mark.parametrize("again", [["DEL", "a"], ["UNLINK", "a"], ["GETDEL", "a"], ["HDEL", "a", "f"]])
def test_who_finds_nothing_to_delete_waits_for_who_deleted_it(
    again: list[str], make: Callable[..., Bench]
) -> None:
    bench = make()
    bench.ask("SET", "a", "1")
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()
    bench.ask("DEL", "a")
    for words in (["GET", "a"], again):
        early = bench.ask(*words)
        assert early == [], words
    bench.turn()
    bench.commit(bench.group.last_index)
    assert len(early) == 1


def test_an_error_that_looked_at_something_uncommitted_waits_too(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.ask("SET", "k", "text")
    bench.turn()
    failed = bench.ask("INCR", "k")
    assert not failed
    bench.commit(bench.group.last_index)
    assert failed == [b"-ERR value is not an integer or out of range\r\n"]


def test_without_a_lease_a_read_waits_for_a_read_index_round(make: Callable[..., Bench]) -> None:
    bench = make(use_lease=False)
    reads = [bench.ask("GET", "k") for _ in range(3)]
    bench.turn()
    assert reads == [[], [], []]
    assert bench.group.contexts == 1, "one round for all reads of the turn"
    bench.shard.reads_confirmed(1)
    assert reads == [[b"$-1\r\n"]] * 3


def test_the_lease_is_looked_at_after_the_evaluation(make: Callable[..., Bench]) -> None:
    """A process may be stopped between the two."""
    bench = make()
    bench.group.lease_until_us = boot_time_us() - 1
    read = bench.ask("GET", "k")
    assert not read


def test_an_uncommitted_read_without_proof_of_leadership_needs_both(make: Callable[..., Bench]) -> None:
    """The commit of what it saw is no proof that nothing came after it under another leader."""
    bench = make(use_lease=False)
    bench.ask("SET", "k", "v")
    bench.turn()
    read = bench.ask("GET", "k")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert not read
    bench.shard.reads_confirmed(1)
    assert read == [b"$1\r\nv\r\n"]


def test_a_deposed_leader_learns_that_its_write_was_committed(make: Callable[..., Bench]) -> None:
    bench = make()
    reply = bench.ask("SET", "k", "v")
    bench.turn()
    index = bench.group.last_index
    bench.follow(term=2)
    assert not reply
    assert len(bench.shard.orphans) == 1
    bench.group.log.append(Entry(index + 1, 2, NORMAL, b""))
    bench.commit(index + 1)
    assert reply == [b"+OK\r\n"]
    assert not bench.shard.orphans


def test_a_write_that_was_overwritten_is_done_again_and_never_answered_here(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    reply = bench.ask("SET", "k", "v")
    bench.turn()
    bench.follow(term=2)
    bench.group.log[-1] = Entry(bench.group.last_index, 2, NORMAL, b"")
    bench.commit(bench.group.last_index)
    assert not reply
    assert [call.args for call in bench.shard.retry] == [[b"SET", b"k", b"v"]]


def test_a_write_beyond_the_new_leaders_log_is_done_again(make: Callable[..., Bench]) -> None:
    bench = make()
    first = bench.ask("SET", "k", "1")
    bench.turn()
    second = bench.ask("SET", "k", "2")
    bench.turn()
    index = bench.group.last_index
    bench.follow(term=2)
    del bench.group.log[-2:]
    bench.group.log.append(Entry(index - 1, 2, NORMAL, b""))
    bench.commit(index - 1)
    assert (first, second) == ([], [])
    assert [call.args[2] for call in bench.shard.retry] == [b"1", b"2"]


def test_what_nobody_tells_in_time_is_unknown(make: Callable[..., Bench]) -> None:
    bench = make()
    reply = bench.ask("SET", "k", "v")
    bench.turn()
    bench.follow(term=2)
    bench.shard.give_up_orphans()
    assert reply == [b"-" + OUTCOME_UNKNOWN + b"\r\n"]


def test_a_read_without_proof_of_leadership_is_done_again_even_if_what_it_saw_commits(
    make: Callable[..., Bench],
) -> None:
    bench = make(use_lease=False)
    bench.ask("SET", "k", "v")
    bench.turn()
    read = bench.ask("GET", "k")
    bench.follow(term=2)
    bench.group.log.append(Entry(bench.group.last_index + 1, 2, NORMAL, b""))
    bench.commit(bench.group.last_index)
    assert not read
    assert [call.args for call in bench.shard.retry] == [[b"GET", b"k"]]


@pytest.mark.parametrize("use_lease", [False, True])
@pytest.mark.parametrize("turns", [False, True])
def test_reads_of_a_deposed_leader_do_not_see_what_their_client_wrote_after_them(
    make: Callable[..., Bench], use_lease: bool, turns: bool
) -> None:
    bench = make(use_lease=use_lease)
    words = [("GET", "k"), ("SET", "k", "1"), ("GET", "k"), ("SET", "k", "2"), ("GET", "k")]
    replies = []
    for each in words:
        replies.append(bench.ask(*each))
        if turns:
            bench.turn()
    bench.turn()
    last = bench.group.last_index
    bench.follow(term=2)
    bench.group.log.append(Entry(last + 1, 2, NORMAL, b""))
    bench.commit(last + 1)
    expected = [[b"$-1\r\n"], [b"+OK\r\n"], [b"$1\r\n1\r\n"], [b"+OK\r\n"], [b"$1\r\n2\r\n"]]
    done_again = int(turns and not use_lease)  # then nothing of ours was committed behind the last read
    assert replies[: 5 - done_again] == expected[: 5 - done_again]
    assert [call.args for call in bench.shard.retry] == [[b"GET", b"k"]] * done_again


@pytest.mark.parametrize("use_lease", [False, True])
def test_reads_and_writes_of_a_deposed_leader_are_done_again_in_their_order(
    make: Callable[..., Bench], use_lease: bool
) -> None:
    bench = make(use_lease=use_lease)
    first = bench.ask("SET", "k", "1")
    bench.turn()
    others = [bench.ask("GET", "k"), bench.ask("SET", "k", "2"), bench.ask("GET", "k")]
    bench.turn()
    last = bench.group.last_index
    bench.follow(term=2)
    bench.group.log[-1] = Entry(last, 2, NORMAL, b"")
    assert not bench.shard.retry
    bench.commit(last)
    assert first == [b"+OK\r\n"]
    saw_what_is_committed = use_lease
    assert others == [[b"$1\r\n1\r\n"] if saw_what_is_committed else [], [], []]
    again = [[b"SET", b"k", b"2"], [b"GET", b"k"]]
    assert [call.args for call in sorted(bench.shard.retry, key=lambda call: call.order)] == (
        again if saw_what_is_committed else [[b"GET", b"k"], *again]
    )


def test_a_leader_that_returns_knows_that_what_it_lacks_never_happened(make: Callable[..., Bench]) -> None:
    bench = make()
    reply = bench.ask("SET", "k", "v")
    bench.turn()
    bench.follow(term=2)
    del bench.group.log[-1]
    bench.group.can_propose = True
    bench.lead(term=3)
    assert not reply
    assert len(bench.shard.retry) == 1
    assert bench.ask("GET", "k") == [b"$-1\r\n"], "the overlay was dropped with the leadership"


def test_what_raft_does_not_take_did_not_happen(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.ask("SET", "kept", "1")
    bench.turn()
    bench.group.refusing = True
    reply = bench.ask("SET", "k", "v")
    size, read = bench.ask("DBSIZE"), bench.ask("GET", "k")
    bench.turn()
    bench.group.refusing = False
    assert (reply, size, read) == ([], [], [])
    assert [call.args[0] for call in bench.shard.retry] == [b"SET", b"DBSIZE", b"GET"]
    again = bench.ask("DBSIZE")
    bench.commit(bench.group.last_index)
    assert again == [b":1\r\n"]


def test_a_leader_applies_late_unless_ranges_are_read_and_others_do_not(make: Callable[..., Bench]) -> None:
    bench = make()
    assert bench.shard.lag is lag_leading
    bench.ask("RPUSH", "l", *map(str, range(1000)))
    assert bench.shard.lag is lag_leading
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.ask("LRANGE", "l", "10", "20")
    assert bench.shard.lag is lag_looked_at, "it went through all that is pending"
    bench.apply()
    assert bench.shard.lag is lag_leading
    bench.ask("LRANGE", "l", "10", "20")
    assert bench.shard.lag is lag_leading, "nothing is pending"
    bench.follow(term=2)
    assert bench.shard.lag is lag_looked_at


def test_nothing_is_evaluated_before_the_own_terms_noop_is_applied(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.follow(term=2)
    bench.group.term = 3
    bench.group.can_propose = True
    bench.group.log.append(Entry(bench.group.last_index + 1, 3, NORMAL, b""))
    bench.shard.role_changed(Role.LEADER, 3, 1)
    assert not bench.shard.ready
    bench.commit(bench.group.last_index)
    assert not bench.shard.ready, "committed is not applied"
    bench.apply()
    assert bench.shard.ready


@pytest.mark.parametrize("reading", [["EXISTS", "k"], ["EXEC"]])
def test_any_number_of_reads_may_come_before_a_write_in_a_turn(
    reading: list[str], make: Callable[..., Bench]
) -> None:
    """A write's revision is its number in the entry: if reads counted too, it would become that of a later entry."""
    bench = make()
    exists = lookup([b"exists"])
    assert exists is not None
    for _ in range(0x10000):
        if reading == ["EXEC"]:
            bench.shard.evaluate_transaction(Transaction([(exists, [b"EXISTS", b"k"], 0)], []), 2)
        else:
            bench.shard.evaluate(exists, [b"EXISTS", b"k"], 0, 2)
    written, seen = bench.ask("SET", "k", "v"), bench.ask("GET", "k")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert (written, seen) == ([b"+OK\r\n"], [b"$1\r\nv\r\n"])


def test_any_number_of_keys_may_be_found_past_their_time(make: Callable[..., Bench]) -> None:
    """What deletes them is numbered in the entry too."""
    bench = make()
    count = 0x10000
    for first in range(0, count, 0x4000):
        bench.ask("EVAL", WITH_EXPIRY, "0", str(first), str(first + 0x3FFF))
        bench.turn()
    bench.ask("SET", "other", "v")
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()
    bench.clock.now_ms += 10_000
    assert bench.ask("EXISTS", *map(str, range(count))) == [b":0\r\n"]
    size = bench.ask("DBSIZE")
    bench.turn()
    bench.commit(bench.group.last_index)
    later = bench.ask("DBSIZE")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert len(size) == len(later) == 1


def test_a_transaction_is_one_entry_and_waits_for_it(make: Callable[..., Bench]) -> None:
    bench = make()
    replies: list[bytes] = []
    rows = [[b"SET", b"a", b"1"], [b"INCR", b"a"], [b"INCR", b"text"], [b"GET", b"a"]]
    bench.ask("SET", "text", "x")
    bench.turn()
    before = bench.group.last_index
    transaction = Transaction([(row, args, 0) for args in rows if (row := lookup(args))], [])
    row = lookup([b"exec"])
    assert row is not None
    bench.shard.submit(Call(row, [b"exec"], 0, 2, Later(replies.append), transaction))
    bench.turn()
    assert bench.group.last_index == before + 1
    assert not replies
    bench.commit(bench.group.last_index)
    error = b"-ERR value is not an integer or out of range\r\n"
    assert replies == [b"*4\r\n+OK\r\n:2\r\n" + error + b"$1\r\n2\r\n"]


def test_an_exec_whose_watched_key_changed_is_null(make: Callable[..., Bench]) -> None:
    bench = make()
    replies: list[bytes] = []
    bench.ask("SET", "k", "1")
    bench.turn()
    bench.commit(bench.group.last_index)
    revision = bench.revision("k")
    bench.ask("SET", "k", "1")
    bench.turn()
    bench.commit(bench.group.last_index)
    args = [b"SET", b"k", b"2"]
    row, exec_row = lookup(args), lookup([b"exec"])
    assert row is not None
    assert exec_row is not None
    transaction = Transaction([(row, args, 0)], [(0, b"k", revision)])
    bench.shard.submit(Call(exec_row, [b"exec"], 0, 2, Later(replies.append), transaction))
    assert replies == [b"*-1\r\n"]
    assert bench.ask("GET", "k") == [b"$1\r\n1\r\n"]


def expire_through_the_log(bench: Bench) -> None:
    """A second later the cron comes by: what it deletes is one entry, which commits."""
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()
    bench.clock.advance()
    bench.clock.now_ms += 1000
    before = bench.group.last_index
    assert not bench.shard.expirer.expire_due(), "there is no more"
    bench.shard.flush()
    assert bench.group.last_index == before + 1
    bench.commit(before + 1)
    bench.apply()


def test_keys_past_their_time_are_deleted_through_the_log(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.ask("SET", "k", "v", "PX", "1")
    bench.ask("SET", "stays", "v")
    expire_through_the_log(bench)
    assert bench.ask("DBSIZE") == [b":1\r\n"]


def test_fields_past_their_time_are_deleted_through_the_log(make: Callable[..., Bench]) -> None:
    bench = make()
    for key in ("h", "other"):
        bench.ask("HSETEX", key, "PX", "1", "FIELDS", "1", "goes", "v")
    bench.ask("HSET", "h", "stays", "v")
    expire_through_the_log(bench)
    assert bench.ask("DBSIZE") == [b":1\r\n"]
    assert bench.ask("HKEYS", "h") == [b"*1\r\n$5\r\nstays\r\n"]
    assert not list(bench.shard.replica.scan(b"y", b"z"))


def test_a_hand_over_that_came_to_nothing_ends_when_the_shard_is_asked_again(
    make: Callable[..., Bench],
) -> None:
    """Raft gives a transfer up by itself and tells nobody: the route asks every now and then."""
    bench = make()
    bench.group.can_propose = False
    bench.shard.refresh()
    assert not bench.shard.ready
    bench.group.can_propose = True
    route = Route(
        1,
        1,
        bench.shard,
        bench.clock,
        leader_wait_s=3600.0,
        hint=1,
        send=lambda route, node, call: False,
        cancel=lambda route, call, error: False,
        forget=lambda calls: None,
        on_dirty=lambda route: None,
    )
    route.check_deadlines()
    assert bench.shard.ready


def test_nobody_gives_up_on_a_leader_that_applies_what_is_committed(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_module, "overlay_keys_max", 3)
    bench = make()
    bench.ask("MSET", *(word for key in "abcdef" for word in (key, "v")))
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.shard.refresh()
    assert not bench.shard.ready
    route = Route(
        1,
        1,
        bench.shard,
        bench.clock,
        leader_wait_s=3600.0,
        hint=1,
        send=lambda route, node, call: False,
        cancel=lambda route, call, error: False,
        forget=lambda calls: None,
        on_dirty=lambda route: None,
    )
    replies: list[bytes] = []
    row = lookup([b"get"])
    assert row is not None
    route.submit(Call(row, [b"GET", b"a"], 0, 2, Later(replies.append)))
    bench.clock.steady_s += 4000
    route.check_deadlines()
    assert not replies
    bench.apply()
    route.update()
    bench.turn()
    assert replies == [b"$1\r\nv\r\n"]


def test_keys_expire_though_the_clock_was_set_back(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.ask("SET", "k", "v", "PX", "100000")
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()
    clock = bench.clock
    for seconds in (0, 200):  # the first turn finds that the clock was set
        clock.turn += 1
        clock.steady_s += seconds
        clock.now_ms += 1000 * seconds - 3_600_000 * (not seconds)
        assert (bench.ask("GET", "k") == [b"$-1\r\n"]) == bool(seconds)


def test_a_command_that_came_late_in_a_turn_counts_time_from_when_it_came(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.ask("SET", "early", "v", "PX", "100")
    turn_ms = bench.clock.now_ms
    bench.clock.now_ms += 40
    bench.ask("SET", "late", "v", "PX", "100")
    ends = [bench.ask("PEXPIRETIME", key) for key in ("early", "late")]
    bench.turn()
    bench.commit(bench.group.last_index)
    assert ends == [[b":%d\r\n" % (turn_ms + 100)], [b":%d\r\n" % (turn_ms + 140)]]


def test_events_are_published_when_what_made_them_commits(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.shard.set_notify(ALL)
    bench.ask("SET", "k", "v")
    bench.turn()
    assert bench.heard == []
    bench.ask("INCR", "k")  # fails: nothing of it is told
    bench.ask("DEL", "k")
    bench.turn()
    bench.commit(2)
    assert bench.heard == [("set", "k")]
    bench.commit(3)
    assert bench.heard == [("set", "k"), ("del", "k")]


def test_a_deposed_leaders_events_are_told_if_the_log_kept_what_made_them(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.shard.set_notify(ALL)
    bench.ask("SET", "kept", "v")
    bench.turn()
    bench.ask("SET", "lost", "v")
    bench.turn()
    kept = bench.group.last_index - 1
    bench.follow(2)
    del bench.group.log[kept:]
    bench.group.log.append(Entry(kept + 1, 2, NORMAL, b""))
    assert bench.heard == []
    bench.commit(kept + 1)
    assert bench.heard == [("set", "kept")]


def test_what_raft_does_not_take_has_no_events(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.shard.set_notify(ALL)
    bench.group.refusing = True
    bench.ask("SET", "k", "v")
    bench.turn()
    bench.group.refusing = False
    bench.shard.refresh()
    bench.ask("SET", "other", "v")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert bench.heard == [("set", "other")]
    bench.ask("SET", "third", "v")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert bench.heard[1:] == [("set", "third")]


def test_an_event_of_a_key_past_its_time_waits_for_its_deletion(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.shard.set_notify(ALL)
    bench.ask("SET", "k", "v", "PX", "1")
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.heard.clear()
    bench.clock.now_ms += 5
    bench.ask("GET", "k")
    bench.turn()
    assert bench.heard == []
    bench.commit(bench.group.last_index)
    assert bench.heard == [("expired", "k")]


def test_a_command_that_writes_more_than_an_entry_holds_is_refused_and_those_before_it_are_done_again(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried again and again."""
    monkeypatch.setattr(shard_module, "entry_bytes_max", 500)
    bench = make()
    bench.group.entry_bytes_max = 1000
    before, large = bench.ask("SET", "small", "1"), bench.ask("SET", "large", "x" * 1000)
    assert large == [b"-ERR the command writes more than one log entry can hold; it was not applied\r\n"]
    assert not before
    assert [call.args[1] for call in bench.shard.retry] == [b"small"]
    bench.turn()
    bench.shard.retry.clear()
    assert bench.ask("EXISTS", "large") == [b":0\r\n"]


def test_keys_that_expire_together_are_not_walked_over_again(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expirer, "expire_keys_per_turn_max", 10)
    bench = make()
    for number in range(95):
        bench.ask("SET", f"k{number}", "v", "PXAT", f"{bench.clock.now_ms + 5000}")
    starts: list[bytes] = []
    scan = Overlay.scan

    def watched(
        self: Overlay, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        starts.append(start)
        return scan(self, start, stop, reverse)

    monkeypatch.setattr(Overlay, "scan", watched)
    bench.turn()
    bench.clock.advance()
    bench.clock.now_ms += 6000
    while bench.shard.expirer.expire_due():
        pass
    rounds = [start for start in starts if start[:1] == b"x"]
    assert len(rounds) == 10
    assert rounds == sorted(set(rounds))
    assert bench.shard.meta().databases[0].keys == 0


def test_the_expirer_does_not_look_before_something_is_due(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    looks: list[bytes] = []
    scan = Overlay.scan

    def watched(
        self: Overlay, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        looks.append(start[:1])
        return scan(self, start, stop, reverse)

    monkeypatch.setattr(Overlay, "scan", watched)

    def expire(later_ms: int) -> list[bytes]:
        """Where the cron looks so much later than now."""
        bench.turn()
        bench.clock.advance()
        bench.clock.now_ms += later_ms
        looks.clear()
        bench.shard.expirer.expire_due()
        where = list(looks)
        bench.turn()
        bench.commit(bench.group.last_index)
        bench.apply()
        return where

    assert expire(0) == [b"x", b"y"], "nothing is known"
    assert expire(0) == []
    bench.ask("SET", "late", "v", "PX", "900000")
    bench.ask("SET", "soon", "v", "PX", "900000")
    bench.ask("PEXPIRE", "soon", "300000")
    bench.ask("HSETEX", "h", "PX", "600000", "FIELDS", "1", "goes", "v")
    assert expire(0) == []
    assert expire(400_000) == [b"x"]
    assert bench.ask("DBSIZE") == [b":2\r\n"]
    assert expire(700_000) == [b"x", b"y"], "the key that was due is gone, so it looks for the next"
    assert bench.ask("DBSIZE") == [b":1\r\n"]
    assert expire(700_000) == [b"y"]
    assert expire(700_000) == []
    assert expire(1_000_000) == [b"x"]
    assert bench.ask("DBSIZE") == [b":0\r\n"]


def test_while_clients_are_paused_nothing_is_deleted_because_its_time_has_come(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.ask("SET", "k", "v", "PX", "1")
    bench.turn()
    bench.commit(bench.group.last_index)
    for paused, written in ((True, 0), (False, 1)):
        bench.clock.now_ms += 1000
        bench.shard.paused = paused
        index = bench.group.last_index
        assert bench.ask("GET", "k") == [b"$-1\r\n"]
        bench.turn()
        assert bench.group.last_index == index + written
