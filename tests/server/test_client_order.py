"""What one client has asked about a key is done in its order, or not at all, when leaders change."""

from collections.abc import Callable

import pytest

from raft.core.node import Role
from server.commands import all as all_commands
from server.commands.table import lookup
from server.dispatch import transactions
from server.dispatch.order import Changes
from server.shard.call import Call, Later
from server.shard.gather import Gather
from server.shard.receipts import Sent
from server.shard.route import Route, settle_s
from tests.server.bench import Bench
from tests.server.test_receipts import bench, route_of

assert all_commands.loaded
assert transactions.exec_
assert bench
REFUSED = b"-TRYAGAIN The leader of the shard group changed; the command was not applied, send it again\r\n"


@pytest.mark.parametrize(
    ("answered", "reply", "due", "touched"),
    [
        ("SET k v", b"+OK\r\n", "GET k", True),
        ("SET k v", b"+OK\r\n", "SETNX k v", True),
        ("SET k v", b"-UNKNOWN it may have been applied\r\n", "GET k", True),
        ("SET k v", REFUSED, "GET k", False),
        ("SET k v", b"-CLUSTERDOWN no leader\r\n", "GET k", False),
        ("SET other v", b"+OK\r\n", "GET k", False),
        ("DEL other k", b":1\r\n", "MGET x k", True),
        ("GET k", b"+v\r\n", "GET k", False),
        ("EXEC", b"*1\r\n+OK\r\n", "GET k", True),
        ("SET other v", b"+OK\r\n", "EXEC", True),
        ("FLUSHALL", b"+OK\r\n", "GET k", True),
        ("SET k v", b"+OK\r\n", "DBSIZE", True),
        ("EVAL text 1 other", b"$-1\r\n", "GET k", True),
    ],
)
def test_what_may_have_changed(answered: str, reply: bytes, due: str, touched: bool) -> None:
    changes = Changes()
    changes.add(answered.encode().split(), reply, 5)
    assert changes.touch(due.encode().split(), 4) == touched
    assert not changes.touch(due.encode().split(), 6)


def call(*words: str) -> tuple[Call, list[bytes]]:
    """A call, and where its reply goes."""
    replies: list[bytes] = []
    args = [word.encode() for word in words]
    row = lookup(args)
    assert row is not None
    return Call(row, args, 0, 2, Later(replies.append)), replies


class Overtaken(Later):
    """The slot of a call whose client has had the answer to a later one about the same key."""

    def overtaken(self, args: list[bytes], known: object) -> bool:
        return True


def overtaken_read(bench: Bench) -> tuple[Route, Call, list[bytes]]:
    """One that was sent to another leader, and where its reply goes."""
    route = route_of(bench, send=lambda *_: True)
    bench.follow(2)
    read, _ = call("GET", "k")
    replies: list[bytes] = []
    read.slot = Overtaken(replies.append)
    route.submit(read)
    return route, read, replies


@pytest.mark.parametrize(("comes_back", "answer"), [(Route.lost, REFUSED), (Route.refused, b"$-1\r\n")])
def test_what_a_leader_refuses_is_done_again_and_what_was_lost_with_it_is_not_if_overtaken(
    bench: Bench, comes_back: Callable[..., None], answer: bytes
) -> None:
    """A leader refuses calls in their order, so that nothing can have gone past them."""
    route, read, replies = overtaken_read(bench)
    comes_back(route, read, *([2] if comes_back is Route.refused else []))
    bench.group.can_propose = True
    bench.lead(3)
    route.update()
    assert replies == [answer]


def test_a_read_that_a_write_has_gone_past_is_awaited_from_the_former_leader(bench: Bench) -> None:
    """It has handed over. The log may have told of that write already, and the reply to the read is on its way."""
    route, read, replies = overtaken_read(bench)
    bench.shard.role_changed(Role.FOLLOWER, 3, 3)
    route.check_deadlines()
    route.update()
    assert route.expects(read)
    assert not replies


def test_nor_is_one_taken_back_that_a_write_may_have_gone_past(bench: Bench) -> None:
    route = route_of(bench, send=lambda *_: True)
    bench.follow(2)
    (read, _), (write, _) = call("GET", "k"), call("SET", "k", "v")
    for one in (read, write):
        route.submit(one)
    write.sent = Sent(2, bench.shard.replica.generation)
    bench.shard.role_changed(Role.FOLLOWER, 3, 3)
    for settled_term, left in ((2, True), (3, False)):
        bench.shard.settled_term = settled_term
        route.check_deadlines()
        assert (route.expects(read), route.expects(write)) == (left, left)


@pytest.mark.parametrize(
    ("words", "places", "overtaken"), [("DBSIZE", None, False), ("MGET a b", [[0], [1]], True)]
)
def test_what_asks_all_groups_about_all_of_their_keys_is_of_no_one_moment(
    words: str, places: list[list[int]] | None, overtaken: bool
) -> None:
    args = words.encode().split()
    row = lookup(args)
    assert row is not None
    gather = Gather(row, places, 2, 2, Overtaken(lambda reply: None))
    assert gather.part(0).overtaken(args, {}) == overtaken


def test_what_may_be_behind_a_write_that_was_left_at_the_former_leader_is_not_done_again(
    bench: Bench,
) -> None:
    """Nobody knows whether that write was done; what came after it is done again."""
    route = route_of(bench, send=lambda *_: True)
    bench.follow(2)
    early, write, late = call("SETNX", "k", "w"), call("SET", "k", "v"), call("GET", "k")
    for one, _ in (early, write, late):
        route.submit(one)
    bench.group.can_propose = True
    bench.lead(3)
    route.update()
    for one, _ in (early, late):
        route.lost(one)
    bench.shard.settled_term = bench.group.term
    bench.clock.steady_s += settle_s + 1
    route.update()
    route.update()
    assert [early[1], write[1], late[1]] == [[REFUSED], [], [b"$-1\r\n"]]
