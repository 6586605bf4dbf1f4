"""Streams on one group: against a list, what waiting means, and what commands cost as streams grow.

Replies are compared with a real Valkey in tests/conformance.
"""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.commands.keys
import server.commands.stream_claims
import server.commands.stream_groups
import server.commands.stream_info
import server.commands.streams  # noqa: F401
from resp.values import NULL_ARRAY, Error
from server.errors import WouldBlock
from server.keyspace.limits import Limits
from server.types import streams
from server.types.streams import ID_MAX, Stream
from tests.server.harness import Group

NOW_MS = 1_700_000_000_000


@pytest.fixture
def group() -> Group:
    return Group(NOW_MS)


def fill(group: Group, ids: Iterable[int], key: str = "s") -> None:
    for number in ids:
        group.run("XADD", key, f"{number}-0", "f", "v")


def stream_of(group: Group) -> Stream:
    stream = streams.find(group.begin(), b"s")
    assert stream is not None
    return stream


def test_what_failed_has_left_the_stream_as_it_was(group: Group) -> None:
    # The view hands out the same stream again and again.
    fill(group, range(1, 201))
    view = group.begin()
    stream = streams.find(view, b"s")
    assert stream is not None
    stream.append(500 << 64, [b"f", b"v"], view.limits)
    view.rollback()
    assert group.run("XLEN", "s") == 200
    assert group.run("XADD", "s", "201-0", "f", "v") == b"201-0"


# -- against a model --------------------------------------------------------------------------------------------------

changes = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 150)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 400), min_size=1, max_size=60)),
    st.tuples(st.sampled_from(["length", "before"]), st.tuples(st.integers(0, 400), st.booleans())),
)


@given(st.lists(changes, max_size=12))
def test_a_stream_is_a_list_and_its_nodes_are_right(steps: list[tuple[str, object]]) -> None:
    group = Group(NOW_MS)
    group.run("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    model: list[int] = []
    added = 0
    for name, argument in steps:
        stream = stream_of(group)
        if name == "add":
            assert isinstance(argument, int)
            for _ in range(argument):
                added += 1
                stream.append(added, [b"f", b"%d" % added], Limits())
                model.append(added)
        elif name == "delete":
            assert isinstance(argument, list)
            gone = set(argument) & set(model)
            assert stream.delete(argument) == len(gone)
            model = [id_ for id_ in model if id_ not in gone]
        else:
            assert isinstance(argument, tuple)
            limit, approximate = argument
            trim = stream.trim_length if name == "length" else stream.trim_before
            before = len(model)
            exact = model[max(before - limit, 0) :] if name == "length" else [m for m in model if m >= limit]
            trimmed = trim(limit, approximate, 0)
            model = model[trimmed:]
            assert model[-len(exact) :] == exact if approximate and exact else approximate or model == exact
        stream.save(changed=True)
        group.commit()
        check(stream_of(group), model, added)


def check(stream: Stream, model: list[int], added: int) -> None:
    """What is counted is what is there."""
    assert [id_ for id_, _ in stream.scan(0, ID_MAX)] == model
    assert [id_ for id_, _ in stream.scan(0, ID_MAX, reverse=True)] == model[::-1]
    assert (stream.length, stream.added, stream.last) == (len(model), added, added)
    assert stream.first == (model[0] if model else 0)
    nodes = list(stream._nodes(0))
    assert len(nodes) == stream.nodes
    assert stream.head == (nodes[0].first if nodes else 0)
    assert stream.tail is (nodes[-1] if nodes else None)
    for node, after in zip(nodes, [*nodes[1:], None], strict=False):
        end = ID_MAX if after is None else after.first
        assert node.live == sum(node.first <= id_ < end for id_ in model)
        assert node.live <= node.entries <= Limits().stream_node_max_entries
        assert node.first <= node.last < end
    assert sum(node.live for node in nodes) == len(model)


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_wait_for_what_comes_after_the_end_keeps_the_end_of_when_it_began(group: Group) -> None:
    fill(group, [5])
    with pytest.raises(WouldBlock) as raised:
        group.run("XREAD", "BLOCK", "100", "STREAMS", "s", "t", "$", "$")
    wait = raised.value
    assert (wait.keys, wait.timeout_ms, wait.empty) == ([b"s", b"t"], 100, NULL_ARRAY)
    assert wait.retry_args == [b"XREAD", b"BLOCK", b"100", b"STREAMS", b"s", b"t", b"5-0", b"0-0"]
    assert not wait.keep_effects
    group.view.rollback()
    fill(group, [6])
    assert group.run(*wait.retry_args) == {b"s": [[b"6-0", [b"f", b"v"]]]}


def test_a_consumer_is_there_from_when_it_begins_to_wait(group: Group) -> None:
    group.run("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    request = ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]
    with pytest.raises(WouldBlock) as raised:
        group.run(*request)
    assert raised.value.keep_effects
    group.commit()
    assert [each[b"name"] for each in group.run("XINFO", "CONSUMERS", "s", "g")] == [b"c"]
    # Once it is there, waiting changes nothing: a change would wake all who wait.
    with pytest.raises(WouldBlock) as raised:
        group.run(*request)
    assert not raised.value.keep_effects
    assert group.view.effects == {}


def test_who_waits_in_a_group_learns_that_it_is_gone(group: Group) -> None:
    group.run("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    request = ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]
    before = group.view.watch_revision(b"s")
    assert group.run("XGROUP", "DESTROY", "s", "g") == 1
    assert group.view.watch_revision(b"s") != before
    gone = Error(b"NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option")
    assert group.run(*request) == gone
    group.run("DEL", "s")
    assert group.run(*request) == gone


# -- time -------------------------------------------------------------------------------------------------------------


def test_ids_go_on_from_the_clock_and_never_back(group: Group) -> None:
    assert group.run("XADD", "s", "*", "f", "v") == b"%d-0" % NOW_MS
    assert group.run("XADD", "s", "*", "f", "v") == b"%d-1" % NOW_MS
    group.now_ms -= 1000
    assert group.run("XADD", "s", "*", "f", "v") == b"%d-2" % NOW_MS
    group.now_ms += 2000
    assert group.run("XADD", "s", "*", "f", "v") == b"%d-0" % (NOW_MS + 1000)


def test_idle_times(group: Group) -> None:
    fill(group, [1, 2, 3])
    group.run("XGROUP", "CREATE", "s", "g", "0")
    group.run("XGROUP", "CREATECONSUMER", "s", "g", "d")
    group.run("XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "s", ">")
    group.now_ms += 100
    assert group.run("XPENDING", "s", "g", "IDLE", "100", "-", "+", "9") == [
        [b"1-0", b"c", 100, 1],
        [b"2-0", b"c", 100, 1],
    ]
    assert group.run("XPENDING", "s", "g", "IDLE", "101", "-", "+", "9") == []
    assert group.run("XINFO", "CONSUMERS", "s", "g") == [
        {b"name": b"c", b"pending": 2, b"idle": 100, b"inactive": 100},
        {b"name": b"d", b"pending": 0, b"idle": 100, b"inactive": -1},
    ]
    assert group.run("XCLAIM", "s", "g", "d", "101", "1-0") == []
    assert group.run("XCLAIM", "s", "g", "d", "100", "1-0", "JUSTID") == [b"1-0"]
    assert group.run("XAUTOCLAIM", "s", "g", "d", "100", "0", "JUSTID") == [b"0-0", [b"2-0"], []]
    full = group.run("XINFO", "STREAM", "s", "FULL")[b"groups"][0]
    assert full[b"pending"] == [[b"1-0", b"d", group.now_ms, 1], [b"2-0", b"d", group.now_ms, 1]]
    assert [(each[b"seen-time"], each[b"active-time"]) for each in full[b"consumers"]] == [
        (NOW_MS, NOW_MS),
        (group.now_ms, group.now_ms),
    ]


# -- cost -------------------------------------------------------------------------------------------------------------


def test_what_a_command_writes_does_not_grow_with_the_stream(group: Group) -> None:
    written: list[list[int]] = []
    group.run("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    number = 0
    for length in (150, 3050):
        fill(group, range(number + 1, length + 1))
        number = length
        counts = []
        for request in (
            ["XADD", "s", "*", "f", "v"],
            ["XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "s", ">"],
            ["XACK", "s", "g", "1-0", "150-0"],
            ["XDEL", "s", f"{length - 5}-0"],
            ["XTRIM", "s", "MAXLEN", str(group.run("XLEN", "s") - 1)],
        ):
            assert not isinstance(group.run(*request), Error)
            counts.append(len(group.written))
        written.append(counts)
        group.run("DEL", "s")
        group.run("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        number = 0
    assert written[0] == written[1]
    assert max(written[0]) <= 8
