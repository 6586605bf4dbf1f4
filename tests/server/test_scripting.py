"""Scripts on one group: what stays of what they write, the texts that a group keeps, and where they end."""

from hashlib import sha1
from random import Random

import pytest

from resp import encode
from resp.values import Error, Raw
from server.commands.evals import eval_
from server.dispatch.wandering import wanders_to
from server.errors import CommandError
from server.keyspace.home import Home
from server.keyspace.meta import Meta
from server.keyspace.store import MemoryStore
from server.keyspace.view import View
from server.scripting import script
from tests.server.harness import Group


@pytest.fixture
def group() -> Group:
    return Group()


def leader_runs(group: Group, text: str, *keys: str) -> object:
    """As Shard does: an error takes back what was not kept, and the rest is committed."""
    view = group.begin()
    try:
        reply = eval_(view, [b"EVAL", text.encode(), b"%d" % len(keys), *(key.encode() for key in keys)])
    except CommandError as error:
        view.rollback()
        reply = Error(error.text)
    group.commit()
    return reply


def test_what_a_script_wrote_before_it_failed_stays(group: Group) -> None:
    reply = leader_runs(group, "redis.call('set',KEYS[1],'1') redis.call('incr',KEYS[1]) error('x')", "k")
    assert isinstance(reply, Error)
    assert group.run("GET", "k") == b"2"
    assert group.meta.databases[0].keys == 1


def test_a_script_is_told_that_it_passes_too_many_words_to_a_command(group: Group) -> None:
    text = "local a={{}} for i=1,{count} do a[i]=i end return redis.{call}('sadd','s',unpack(a))"
    assert leader_runs(group, text.format(count=7_995, call="call"), "s") == Raw(b":7995\r\n")
    for call in ("call", "pcall"):
        reply = leader_runs(group, text.format(count=7_996, call=call), "s")
        assert isinstance(reply, Error)
        assert reply.text.startswith(b"ERR user_script:1: too many arguments to '%b' " % call.encode())


def test_a_failing_command_takes_back_only_itself() -> None:
    view = View(MemoryStore(), Meta.new(), Random(0))
    view.begin_entry(1, 1)
    view.begin(0, 2)
    view.put(b"a", 0, b"one")
    view.keep()
    view.put(b"a", 0, b"two")
    view.put(b"b", 0, b"new")
    view.delete(b"a")
    view.rollback()
    assert view.payload(b"a", 0) == b"one"
    assert not view.exists(b"b")
    assert view.key_count() == 1
    assert len([value for value in view.take_effects().values() if value is not None]) == 1
    view.begin(0, 2)
    view.put(b"c", 0, b"x")
    view.rollback()
    assert not view.effects, "keep is over with the command"


def test_a_script_that_wants_too_much_memory_fails_alone(group: Group) -> None:
    assert isinstance(leader_runs(group, "return string.rep('x', 2^30)"), Error)
    assert leader_runs(group, "return 1") == Raw(b":1\r\n")


def test_a_long_string_is_made_of_pieces(group: Group) -> None:
    """As long as Lua would make it; pieces are of 64 KB."""
    for text, count in (("x", 131_073), ("abc", 100_001), ("ab", 65_536.9), ("y" * 70_000, 3), ("z", -1)):
        made = leader_runs(group, f"return string.rep('{text}', {count})")
        assert made == text.encode() * int(count)
    assert leader_runs(group, "return ('abc'):rep('70000'):len()") == Raw(b":210000\r\n")
    assert isinstance(leader_runs(group, "return string.rep('x')"), Error)


def test_no_script_reaches_python_or_another_script(group: Group) -> None:
    for text in (
        "return python",
        "return debug",
        "return package",
        "return getfenv",
        "return newproxy",
        "return (redis.call).__class__",
        "return getmetatable(cjson.null).__tostring",
        "local _, t = pairs(string) t.x = 1",
        "rawset(string, 'x', 1)",
        "return setmetatable(redis, {})",
    ):
        assert isinstance(leader_runs(group, text), Error), text
    assert leader_runs(group, "return string.x") == Raw(b"_\r\n")


def test_metamethods_do_not_run_in_replies(group: Group) -> None:
    text = "return setmetatable({}, {__index=function() while true do end end})"
    assert leader_runs(group, text) == Raw(b"*0\r\n")


def test_evalsha_knows_what_eval_left_and_forgets_the_oldest(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "evaluated_max", 2)
    texts = ["return 1", "return 2", "return 3"]
    group.run("_scriptload", "return 0")
    for text in texts:
        leader_runs(group, text)
    known = group.run("_scripttexts", *(sha1(text.encode()).hexdigest() for text in ["return 0", *texts]))
    assert known == [b"return 0", None, b"return 2", b"return 3"]


def test_a_script_can_not_leave_its_group(group: Group) -> None:
    group.view.home = Home(1, [1] * 8192 + [2] * 8192)
    reply = leader_runs(group, "return redis.call('get','foo')")  # slot 12182
    assert isinstance(reply, Error)
    assert reply.text.startswith(b"CROSSSLOT")
    assert leader_runs(group, "return redis.call('get','bar')") == Raw(b"_\r\n")


@pytest.mark.parametrize(
    ("text", "of_redis", "of_server"),
    [
        ("call('nosuch')", "Unknown Redis command called from script", "Unknown command called from script"),
        (
            "call('get')",
            "Wrong number of args calling Redis command from script",
            "Wrong number of args calling command from script",
        ),
        (
            "call()",
            "Please specify at least one argument for this redis lib call",
            "Please specify at least one argument for this call",
        ),
        (
            "pcall({})",
            "Lua redis lib command arguments must be strings or integers",
            "Command arguments must be strings or integers",
        ),
        (
            "acl_check_cmd('nosuch')",
            "Invalid command passed to redis.acl_check_cmd()",
            "Invalid command passed to server.acl_check_cmd()",
        ),
    ],
)
def test_the_library_speaks_of_itself_by_the_name_it_was_called_by(
    group: Group, text: str, of_redis: str, of_server: str
) -> None:
    for name, said in (("redis", of_redis), ("server", of_server)):
        reply = leader_runs(group, f"return {name}.{text}")
        text_of = reply.text if isinstance(reply, Error) else reply.value if isinstance(reply, Raw) else b""
        assert f"ERR {said}".encode() in text_of
    assert leader_runs(group, "return redis == server and redis ~= {}") == Raw(b":1\r\n")


@pytest.mark.parametrize("text", ["@1", "_WANDERS 1", "_WANDERS x", "@"])
def test_no_script_sends_itself_elsewhere(group: Group, text: str) -> None:
    """What a leader says of a script that is for another group is no reply that a script can make."""
    for reply in (f"redis.error_reply('{text}')", f"redis.status_reply('{text}')", f"'{text}'"):
        answer = encode(group.run("EVAL", f"return {reply}", "0"), 2)
        assert text.encode() in answer
        assert wanders_to(answer) is None


def test_a_text_is_known_until_it_is_flushed(group: Group) -> None:
    text = "return 'x'"
    for _ in range(3):
        assert leader_runs(group, text) == b"x"
        group.view.committed = group.view.revision
    assert not group.written
    group.run("_scriptflush")
    assert leader_runs(group, text) == b"x"
    assert sha1(text.encode()).digest() in b"".join(group.written)


def test_texts_are_known_beside_a_small_set(group: Group) -> None:
    for _ in range(3):
        leader_runs(group, "return 'x'")
        group.view.committed = group.view.revision
    assert group.run("SADD", "s", "a", "b") == 2
    assert group.run("SREM", "s", "a") == 1
