"""Libraries of functions on one group: what group 0 keeps of them, how they are called, and where that ends."""

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

import server.commands.function_calls
import server.commands.functions
import server.commands.pubsub  # noqa: F401
from resp import encode
from resp.values import OK, Error, Raw
from server.cluster import state
from server.commands.evals import eval_
from server.commands.functions import function_list, gone_ms
from server.errors import DISK_FULL, CommandError
from server.keyspace.home import Home
from server.keyspace.meta import Meta
from server.keyspace.store import MemoryStore
from server.keyspace.view import View
from server.scripting import script
from server.scripting.functions import PREFIX, Functions
from server.scripting.interpreter import Interpreter
from server.scripting.library import (
    FLAGS,
    Function,
    Library,
    decode_library,
    dump_libraries,
    encode_library,
    load_libraries,
    parse_library,
    stamped,
)
from tests.server.harness import Group

FULL = b"MISCONF The disk of this node is nearly full"


def text(body: str, name: str = "l") -> bytes:
    return f"#!lua name={name}\n{body}".encode()


def library(name: str, *functions: str) -> Library:
    """One that only has to have a name and functions."""
    registered = tuple(Function(function.encode(), None, ()) for function in functions)
    return Library(name.encode(), text("", name), registered)


def loaded(source: bytes) -> Library:
    name, _ = parse_library(source)
    return stamped(Library(name, source, Interpreter().load(b"1", source)), 1, ())


def called(group: Group, body: str, *args: str, flags: str = "", readonly: bool = False) -> Any:
    """The reply of a function with this body, called on `group` as its leader calls it."""
    source = text(
        f"redis.register_function{{function_name='f', callback=function(keys, args) {body} end, flags={{{flags}}}}}"
    )
    name = "_runfunction_ro" if readonly else "_runfunction"
    return group.run(name, loaded(source).digest, source, "f", "0", *args)


def words(*replies: bytes) -> Raw:
    return Raw(
        b"*%d\r\n" % len(replies) + b"".join(b"$%d\r\n%b\r\n" % (len(reply), reply) for reply in replies)
    )


# -- the group of the keys ---------------------------------------------------------------------------------------


def test_the_text_goes_along_once() -> None:
    group = Group()
    source = text("redis.register_function('f', function(keys, args) return {keys[1], args[1]} end)")
    digest = loaded(source).digest
    missing = group.run("_runfunction", digest, "", "f", "1", "k", "a")
    assert isinstance(missing, Error)
    assert missing.text.startswith(b"TRYAGAIN")
    assert group.run("_runfunction", digest, source, "f", "1", "k", "a") == words(b"k", b"a")
    assert group.run("_runfunction", digest, "", "f", "1", "k", "b") == words(b"k", b"b")
    assert not group.written, "it was there already"


def test_script_flush_leaves_libraries_alone() -> None:
    group = Group()
    source = text("redis.register_function('f', function() return 1 end)")
    digest = loaded(source).digest
    group.run("_runfunction", digest, source, "f", "0")
    script.forget_texts(group.begin())
    group.commit()
    assert group.run("_runfunction", digest, "", "f", "0") == Raw(b":1\r\n")


def test_a_group_keeps_the_newest_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "evaluated_max", 3)
    group = Group()
    for number in range(5):
        view = group.begin()
        script.keep_text(view, b"%020d" % number, b"text", script.EVALUATED, script.LIBRARIES)
        group.commit()
    view = group.begin()
    kept = [n for n in range(5) if script.find_text(view, b"%020d" % n, script.LIBRARIES) is not None]
    assert kept == [2, 3, 4]
    assert script.find_text(view, b"%020d" % 4) is None, "a library is no script"


def test_flags_are_held_against_where_it_runs() -> None:
    group = Group()
    group.view.home = Home(1, [1, 2])
    refused = called(group, "return 1", flags="'no-cluster'")
    assert refused == Error(b"ERR Can not run script on cluster, 'no-cluster' flag is set.")
    group.view.home = Home(1, [1, 1])
    assert called(group, "return 1", flags="'no-cluster'") == Raw(b":1\r\n")
    assert called(group, "return 2", flags="'no-writes'", readonly=True) == Raw(b":2\r\n")
    refused = called(group, "return 3", readonly=True)
    assert refused == Error(b"ERR Can not execute a script with write flag using *_ro command.")


def test_a_full_disk_refuses_what_may_write() -> None:
    group = Group()
    group.view.home = Home(1, [1], SimpleNamespace(refusal=DISK_FULL, short_of_replicas=False))
    setting = "return redis.call('set', 'k', 'v')"
    assert called(group, setting).text.startswith(FULL)
    assert called(group, setting, flags="'allow-oom'") == Raw(b"+OK\r\n")
    assert called(group, "return redis.call('get', 'k')", flags="'no-writes'") == b"v"


def test_a_script_without_flags_is_refused_what_needs_space_until_it_has_written() -> None:
    group = Group()
    group.run("SET", "k", "v")
    group.view.home = Home(1, [1], SimpleNamespace(refusal=DISK_FULL, short_of_replicas=False))
    assert group.run("EVAL", "return 1", "0") == Raw(b":1\r\n")
    group.run("EVAL", "return redis.pcall('set', 'k', 'w')", "0")
    assert group.run("GET", "k") == b"v"
    reply = group.run("EVAL", "redis.call('del', 'k') return redis.call('set', 'k', 'w')", "0")
    assert reply == Raw(b"+OK\r\n")


def test_what_was_published_before_a_script_failed_is_published() -> None:
    view = View(MemoryStore(), Meta.new(), Random(0))
    view.begin_entry(1, 1)
    view.begin(0, 2)
    with pytest.raises(CommandError):
        eval_(view, [b"EVAL", b"redis.call('publish', 'c', 'm') error('x')", b"0"])
    view.rollback()
    assert view.take_events() == [(0, b"m", 0, b"c")]
    view.take_effects()
    view.begin(0, 2)
    view.publish(b"c", b"gone")
    view.rollback()
    assert view.take_events() == []


# -- group 0 -----------------------------------------------------------------------------------------------------


def kept(group: Group) -> dict[bytes, tuple[bytes, ...]]:
    records = state.entries(group.begin(), PREFIX)
    return {
        name: tuple(each.name for each in decode_library(record).functions)
        for name, record in records.items()
    }


def keep(group: Group, policy: str, *libraries: Library, node: int = 0) -> Any:
    return group.run("_functionkeep", policy, str(node), *map(encode_library, libraries))


def test_group_0_lets_no_name_be_taken_twice() -> None:
    group = Group()
    assert keep(group, "load", library("a", "one", "two")) == OK
    assert keep(group, "load", library("a", "one")) == Error(b"ERR Library 'a' already exists")
    assert keep(group, "append", library("a", "one")) == Error(b"ERR Library a already exists")
    assert keep(group, "load", library("b", "ONE")) == Error(b"ERR Function ONE already exists")
    assert keep(group, "replace", library("b", "two")) == Error(b"ERR Function two already exists")
    assert keep(group, "replace", library("a", "two", "three"), library("b", "one")) == OK
    assert kept(group) == {b"a": (b"two", b"three"), b"b": (b"one",)}
    assert keep(group, "flush", library("c", "one")) == OK
    assert kept(group) == {b"c": (b"one",)}
    assert group.run("_functiondelete", "c", "0") == OK
    assert group.run("_functiondelete", "c", "0") == Error(b"ERR Library not found")
    assert kept(group) == {}


def test_group_0_finds_the_library_of_a_function() -> None:
    group = Group()
    keep(group, "load", library("a", "One"))
    found = group.run("_functionfind", "oNE")
    assert decode_library(found).name == b"a"
    assert group.run("_functionfind", "two") is None


def test_the_same_text_loaded_again_begins_anew() -> None:
    """What a library keeps between calls hangs on its digest, which is of this load."""
    group = Group()
    digests = []
    for _ in range(2):
        keep(group, "replace", library("a", "one"))
        digests.append(decode_library(group.run("_functionfind", "one")).digest)
    assert digests[0] != digests[1]


def test_each_node_may_be_told_the_same_once() -> None:
    """Clients of a Redis Cluster send FUNCTION LOAD, DELETE and RESTORE to every node."""
    group = Group()
    exists = Error(b"ERR Library 'a' already exists")
    assert keep(group, "load", library("a", "one"), node=1) == OK
    digest = decode_library(group.run("_functionfind", "one")).digest
    assert keep(group, "load", library("a", "one"), node=2) == OK
    assert keep(group, "append", library("a", "one"), node=3) == OK
    assert decode_library(group.run("_functionfind", "one")).digest == digest, "it is not loaded anew"
    assert keep(group, "load", library("a", "one"), node=2) == exists
    assert keep(group, "load", Library(b"a", text("--", "a"), ()), node=4) == exists, "another text"
    missing = Error(b"ERR Library not found")
    assert group.run("_functiondelete", "a", "1") == OK
    assert group.run("_functiondelete", "a", "1") == missing
    assert group.run("_functiondelete", "a", "2") == OK
    group.now_ms += gone_ms
    assert group.run("_functiondelete", "a", "3") == missing
    keep(group, "load", library("a", "one"), node=1)
    assert group.run("_functiondelete", "a", "2") == OK
    assert keep(group, "load", library("a", "one"), node=1) == OK
    assert group.run("_functiondelete", "a", "2") == OK


def test_a_function_that_moves_to_another_library_is_never_lost() -> None:
    """The watcher hears of one library at a time, whichever comes first."""
    before, after = [library("a", "f"), library("b", "g")], [library("a", "g"), library("b", "f")]
    for order in ((0, 1), (1, 0)):
        functions = Functions()
        for each in before:
            functions.changed(each.name, encode_library(each))
        for at in order:
            functions.changed(after[at].name, encode_library(after[at]))
        found = functions.find(b"F")
        assert found is not None
        assert found[0].name == b"b"
        functions.changed(b"b", None)
        assert functions.find(b"f") is None
        assert functions.count() == 1


def test_adding_is_all_or_nothing() -> None:
    group = Group()
    assert keep(group, "load", library("a", "f")) == OK
    refused = keep(group, "replace", library("b", "g"), library("c", "F"))
    assert refused == Error(b"ERR Function F already exists")
    assert group.run("_functionfind", "g") is None


def test_loading_and_deleting_looks_at_no_other_library(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group()
    assert keep(group, "load", library("a", "f")) == OK

    def scan(*_: object) -> None:
        pytest.fail("all libraries were read")

    monkeypatch.setattr(group.store, "scan", scan)
    assert keep(group, "load", library("b", "g")) == OK
    assert keep(group, "replace", library("b", "h")) == OK
    assert group.run("_functionfind", "g") is None
    assert decode_library(group.run("_functionfind", "h")).name == b"b"
    assert group.run("_functiondelete", "a", "0") == OK


# -- texts and payloads ------------------------------------------------------------------------------------------


def test_names_of_functions_differ_by_more_than_case() -> None:
    """Valkey ends with an assertion here."""
    with pytest.raises(CommandError, match="Function already exists in the library"):
        loaded(
            text("redis.register_function('a', function() end) redis.register_function('A', function() end)")
        )


async def test_flags_are_listed_in_one_order() -> None:
    known = Functions()
    known.changed(b"a", encode_library(Library(b"a", b"", (Function(b"f", None, FLAGS),))))
    context: Any = SimpleNamespace(node=SimpleNamespace(functions=known))
    (listed,) = await function_list(context, [b"function", b"list"])
    assert b"".join(b"+" + flag + b"\r\n" for flag in FLAGS) in encode(listed, 2)


def test_a_text_that_goes_on_for_ever_is_ended() -> None:
    with pytest.raises(CommandError, match="FUNCTION LOAD timeout"):
        loaded(text("while true do end"))


def test_what_a_valkey_dumped_is_read() -> None:
    payload = bytes.fromhex(
        "f53a23214c5541204e414d453d7a7a0a72656469732e72656769737465725f66756e6374696f6e28277a7a272c66756e6374696f6e"
        "282920656e6429f53823216c7561206e616d653d6c0a72656469732e72656769737465725f66756e6374696f6e282766272c66756e"
        "6374696f6e282920656e642950003eaef3603218b516"
    )
    texts = load_libraries(payload)
    assert [parse_library(each)[0] for each in texts] == [b"zz", b"l"]
    assert load_libraries(dump_libraries(texts)) == texts
    with pytest.raises(CommandError, match="checksum"):
        load_libraries(payload[:-1] + b"x")
