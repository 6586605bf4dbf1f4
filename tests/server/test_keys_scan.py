"""SCAN, KEYS and RANDOMKEY over all groups: every key once, in bounded pages, from cursors good on any node."""

from binascii import crc32
from random import seed
from typing import Any

import pytest

import server.commands.keys
import server.commands.scan  # noqa: F401  (declares its commands)
from resp.values import Error
from server.commands.scan import PAGE_KEYS_MAX
from server.keyspace.layout import LIST, STRING
from server.keyspace.slots import SLOTS, key_slot
from server.types import keys
from server.types.glob import EVERY_KEY
from tests.server.fake_node import FakeNode
from tests.server.harness import Group

NAMES = [b"key:%d" % number for number in range(300)]
# Names of one slot and one crc32: each piece has a twin of the same length and checksum, and crc32 is linear.
TWINS = [
    b"{t}" + a + b + c
    for a in (b"xs4ibwwl", b"adwoqc8j")
    for b in (b"xs4ibwwl", b"adwoqc8j")
    for c in (b"", b"x")
]


async def walk(node: FakeNode, *options: str) -> tuple[list[bytes], int]:
    """All keys that a whole SCAN returns, and the number of calls."""
    cursor, found, calls = b"0", [], 0
    while True:
        cursor, page = await node.run("SCAN", cursor, *options)
        found += page
        calls += 1
        if cursor == b"0":
            return found, calls


class TestPage:
    """scan_page on one group."""

    def setup_method(self) -> None:
        self.group = Group()

    def pages(self, count: int, pattern: bytes = EVERY_KEY, type_: int | None = None) -> list[keys.Page]:
        view = self.group.begin()
        pages, cursor = [], 0
        while True:
            page = keys.scan_page(view, cursor, SLOTS, count, pattern, type_)
            pages.append(page)
            cursor = page.cursor
            if not cursor:
                return pages

    @pytest.mark.parametrize("count", [1, 7, 299, 300, 1000])
    def test_pages_of_any_size_make_up_the_whole(self, count: int) -> None:
        for name in NAMES:
            self.group.run("SET", name, "v")
        pages = self.pages(count)
        found = [key for page in pages for key in page.keys]
        assert found == sorted(NAMES, key=lambda name: (key_slot(name), crc32(name)))
        assert all(page.seen == min(count, 300) for page in pages[:-1])

    def test_keys_of_one_slot_and_checksum_come_on_one_page(self) -> None:
        assert len({(key_slot(name), crc32(name)) for name in TWINS}) == 2
        for name in TWINS:
            self.group.run("SET", name, "v")
        pages = self.pages(1)
        assert [len(page.keys) for page in pages] == [4, 4]
        assert sorted(key for page in pages for key in page.keys) == sorted(TWINS)

    def test_keys_past_their_time_count_and_are_not_shown(self) -> None:
        for name in NAMES:
            self.group.run("SET", name, "v", "PX", "10")
        self.group.run("SET", "alive", "v")
        self.group.now_ms += 10
        pages = self.pages(100)
        assert [key for page in pages for key in page.keys] == [b"alive"]
        assert [page.seen for page in pages] == [100, 100, 100, 1]

    def test_a_page_of_large_values_ends_early(self) -> None:
        for name in NAMES[:10]:
            self.group.run("SET", name, b"x" * (keys.PAGE_BYTES_MAX // 2))
        assert [page.seen for page in self.pages(1000)] == [2] * 5

    def test_pattern_and_type_choose_among_what_is_seen(self) -> None:
        view = self.group.begin()
        view.put(b"list:1", LIST, b"")
        view.put(b"list:2", LIST, b"")
        view.put(b"string:1", STRING, b"")
        self.group.commit()
        [page] = self.pages(10, b"*:1", LIST)
        assert page == keys.Page(0, 3, [b"list:1"])

    def test_a_page_shows_what_its_own_transaction_wrote(self) -> None:
        self.group.run("SET", "gone", "v")
        view = self.group.begin()
        view.delete(b"gone")
        view.put(b"new", STRING, b"v")
        assert keys.scan_page(view, 0, SLOTS, 10, EVERY_KEY, None).keys == [b"new"]

    def test_another_databases_keys_are_not_seen(self) -> None:
        self.group.run("SET", "k", "v")
        self.group.db = 1
        assert self.pages(10) == [keys.Page(0, 0, [])]

    def test_a_slot_is_counted_and_listed(self) -> None:
        slot = key_slot(b"t")
        for name in (b"{t}1", b"{t}2", b"{t}3", b"other"):
            self.group.run("SET", name, "v")
        self.group.run("SET", "{t}dead", "v", "PX", "10")
        self.group.now_ms += 10
        assert self.group.run("_COUNTSLOT", str(slot)) == 3
        assert self.group.run("_COUNTSLOT", str(slot + 1)) == 0
        assert sorted(self.group.run("_SLOTKEYS", str(slot), "10")) == [b"{t}1", b"{t}2", b"{t}3"]
        assert len(self.group.run("_SLOTKEYS", str(slot), "2")) == 2
        assert self.group.run("_SLOTKEYS", str(slot), "0") == []


@pytest.mark.parametrize("group_count", [1, 4, 13])
class TestWholeCluster:
    async def test_a_scan_returns_every_key_once(self, group_count: int) -> None:
        node = FakeNode(group_count)
        node.set(*NAMES, *TWINS)
        for count in ("1", "10", "1000"):
            found, _ = await walk(node, "COUNT", count)
            assert sorted(found) == sorted([*NAMES, *TWINS])

    async def test_keys_that_stay_are_found_however_others_come_and_go(self, group_count: int) -> None:
        node = FakeNode(group_count)
        node.set(*NAMES)
        cursor, found, calls = b"0", [], 0
        while calls == 0 or cursor != b"0":
            cursor, page = await node.run("SCAN", cursor, "COUNT", "7")
            found += page
            node.set(b"new:%d" % calls)
            await node.run("DEL", b"key:%d" % (2 * calls % 300))
            calls += 1
        stayed = {name for name in NAMES if node.group_of(name).run("EXISTS", name)}
        assert stayed <= set(found)
        assert len(found) == len(set(found))

    async def test_a_cursor_means_the_same_however_slots_are_divided(self, group_count: int) -> None:
        node, other = FakeNode(group_count), FakeNode(5)
        for each in (node, other):
            each.set(*NAMES)
        cursor, first = await node.run("SCAN", "0", "COUNT", "100")
        end, second = await other.run("SCAN", cursor, "COUNT", "1000")
        assert end == b"0"
        assert sorted(first + second) == sorted(NAMES)

    async def test_keys_returns_all_that_match(self, group_count: int) -> None:
        node = FakeNode(group_count)
        node.set(*NAMES)
        assert sorted(await node.run("KEYS", "*")) == sorted(NAMES)
        assert sorted(await node.run("KEYS", "key:?")) == sorted(NAMES[:10])
        assert await node.run("KEYS", "nosuch*") == []
        node.session.db = 1
        assert await node.run("KEYS", "*") == []

    async def test_an_empty_database_ends_in_one_call(self, group_count: int) -> None:
        node = FakeNode(group_count)
        assert await node.run("SCAN", "0") == [b"0", []]
        assert await node.run("RANDOMKEY") is None

    async def test_randomkey_reaches_every_key(self, group_count: int) -> None:
        node = FakeNode(group_count)
        names = set(NAMES[:5])
        node.set(*names)
        seed(1)  # a key that lies behind a small gap is rare
        assert {await node.run("RANDOMKEY") for _ in range(500)} == names

    async def test_randomkey_finds_the_one_live_key_among_dead_ones(self, group_count: int) -> None:
        node = FakeNode(group_count)
        for name in NAMES:
            node.group_of(name).run("SET", name, "v", "PX", "10")
        node.set("alive")
        for group in node.groups.values():
            group.now_ms += 10
        assert await node.run("RANDOMKEY") == b"alive"
        await node.run("DEL", "alive")
        assert await node.run("RANDOMKEY") is None


class TestBounds:
    async def test_one_call_looks_at_about_count_keys(self) -> None:
        node = FakeNode(4)
        node.set(*NAMES)
        _, found = await node.run("SCAN", "0", "COUNT", "20")
        assert len(found) == 20
        assert await node.run("SCAN", "0", "COUNT", "20", "MATCH", "nosuch*") != [b"0", []]

    async def test_a_large_count_is_asked_for_page_by_page(self) -> None:
        node = FakeNode(2)
        names = [b"%d" % number for number in range(2500)]
        node.set(*names)
        _, found = await node.run("SCAN", "0", "COUNT", "1000000")
        assert sorted(found) == sorted(names)
        assert {int(args[3]) for _, args in node.calls} == {PAGE_KEYS_MAX}

    async def test_randomkey_steps_over_many_dead_keys_in_bounded_turns(self) -> None:
        node = FakeNode(1)
        group = node.groups[1]
        for number in range(2500):
            group.run("SET", b"%d" % number, "v", "PX", "10")
        group.now_ms += 10
        assert await node.run("RANDOMKEY") is None
        assert sum(args[0] == b"_FIRSTKEY" for _, args in node.calls) > 2

    async def test_a_hash_tag_in_the_pattern_asks_one_group_only(self) -> None:
        node = FakeNode(4)
        node.set(*NAMES, "{tag}1", "{tag}2")
        assert sorted(await node.run("KEYS", "{tag}*")) == [b"{tag}1", b"{tag}2"]
        assert [group for group, _ in node.calls] == [node.topology.slot_groups[key_slot(b"tag")]]
        found, calls = await walk(node, "MATCH", "{tag}*")
        assert (sorted(found), calls) == ([b"{tag}1", b"{tag}2"], 1)

    async def test_a_cursor_behind_the_patterns_slot_is_at_the_end(self) -> None:
        node = FakeNode(4)
        node.set("{tag}1")
        behind = (key_slot(b"tag") + 1) << 32
        assert await node.run("SCAN", str(behind), "MATCH", "{tag}*") == [b"0", []]


class TestArguments:
    @pytest.mark.parametrize(
        "cursor", ["x", "-1", "", "0x10", "0 ", "18446744073709551616", "9" * 5000, "+", "- 1"]
    )
    async def test_what_is_no_cursor_is_refused(self, cursor: str) -> None:
        assert await FakeNode(1).run("SCAN", cursor, "BOGUS") == Error(b"ERR invalid cursor")

    @pytest.mark.parametrize("cursor", [" 0", "+0", "00", "-0", "\t0"])
    async def test_cursors_are_read_as_strtoull_does(self, cursor: str) -> None:
        node = FakeNode(1)
        node.set("k")
        assert await node.run("SCAN", cursor) == [b"0", [b"k"]]

    @pytest.mark.parametrize("cursor", ["18446744073709551615", str(SLOTS << 32), "-01"])
    async def test_a_cursor_past_all_slots_is_at_the_end(self, cursor: str) -> None:
        node = FakeNode(1)
        node.set("k")
        assert await node.run("SCAN", cursor) == [b"0", []]

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            (["COUNT"], b"ERR syntax error"),
            (["COUNT", "0"], b"ERR syntax error"),
            (["COUNT", "x"], b"ERR value is not an integer or out of range"),
            (["TYPE", "no'such"], b"ERR unknown type name 'no'such'"),
            (["NOVALUES"], b"ERR NOVALUES option can only be used in HSCAN"),
            (["NOSCORES"], b"ERR NOSCORES option can only be used in ZSCAN"),
            (["BOGUS", "x"], b"ERR syntax error"),
        ],
        ids=repr,
    )
    async def test_bad_options_are_told(self, options: list[str], error: bytes) -> None:
        assert await FakeNode(1).run("SCAN", "0", *options) == Error(error)

    async def test_an_error_of_a_group_is_the_reply(self) -> None:
        node = FakeNode(2)
        node.failing[2] = b"CLUSTERDOWN no leader"
        down: Any = Error(b"CLUSTERDOWN no leader")
        assert await node.run("SCAN", "0") == down
        assert await node.run("KEYS", "*") == down
        assert await node.run("RANDOMKEY") == down
