"""Users, their rules and what follows from them for sessions, without a server."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access.caller import Caller
from server.access.check import Denial, Reason, check
from server.access.log import AclLog
from server.access.rules import RuleError, User, merge_selectors
from server.access.users import Users, read_users, write_users
from server.commands import all as all_commands
from server.commands.key_access import key_access
from server.commands.table import lookup
from server.parameters.settings import Settings
from server.session import Guard, Session
from server.shard.call import Call, Later
from tests.server.bench import Bench
from tests.server.service_node import FakeOutlet

assert all_commands.loaded


def user(*words: str) -> User:
    made = User(b"ann")
    made.follow([word.encode() for word in words])
    return made


def denied(who: User, *request: str, db: int = 0) -> tuple[str, bytes] | None:
    args = [word.encode() for word in request]
    row = lookup(args)
    assert row is not None
    denial = check(who, row, args, db)
    return None if denial is None else (denial.reason.name, denial.object)


WORDS = st.sampled_from(
    [
        *[
            "on",
            "off",
            "nopass",
            "resetpass",
            "reset",
            "clearselectors",
            "allkeys",
            "resetkeys",
            "allchannels",
            "resetchannels",
        ],
        *[
            "allcommands",
            "nocommands",
            "alldbs",
            "resetdbs",
            "db=1",
            "db=3,2",
            "~a",
            "~b*",
            "%R~a",
            "%W~a",
            "%RW~c*",
            "&ch",
            "&p*",
        ],
        *[
            "+get",
            "-get",
            "+@read",
            "-@read",
            "+@all",
            "-@all",
            "+config",
            "-config|set",
            "+config|get",
            "+select|0",
            "+@hash",
            "-@write",
        ],
        *[">one", ">two", "<one", "(+get_~a)", "(%R~x_-@all_+@string)", "()"],
    ]
)


@given(st.lists(WORDS, max_size=12))
def test_the_canonical_words_make_an_equal_user(words: list[str]) -> None:
    made = User(b"ann")
    for word in words:
        try:
            made.apply(word.replace("_", " ").encode())
        except RuleError:
            continue
    text = made.describe()
    again = User.parse(b"ann", text)
    assert again.describe() == text
    assert again.unrestricted == made.unrestricted
    for request in (
        ["get", "a"],
        ["set", "b1", "v"],
        ["config", "set", "x", "y"],
        ["select", "0"],
        ["hget", "a", "f"],
    ):
        assert denied(made, *request) == denied(again, *request)
    for selector in made.selectors:
        assert not selector.unrestricted or denied(made, "flushall") is None


@given(
    st.lists(
        st.sampled_from(
            ["+get", "-get", "+@read", "-@read", "+@all", "-@all", "+@fast", "-@string", "+mget", "-mget"]
        ),
        max_size=10,
    )
)
def test_rules_apply_in_their_order(words: list[str]) -> None:
    """Against the plain reading: each word in turn adds or takes away commands."""
    rows = {name: lookup([name.encode()]) for name in ("get", "mget", "set", "hget")}
    allowed: set[str] = set()
    for word in words:
        for name, row in rows.items():
            assert row is not None
            if word[1:] in ("@all", name) or (word[1] == "@" and word[2:] in row.categories):
                (allowed.add if word[0] == "+" else allowed.discard)(name)
    made = user("~*", *words)
    requests = {
        "get": ["get", "k"],
        "mget": ["mget", "k"],
        "set": ["set", "k", "v"],
        "hget": ["hget", "k", "f"],
    }
    assert {name for name, request in requests.items() if denied(made, *request) is None} == allowed


def test_what_is_done_to_a_key_decides() -> None:
    reader, writer = user("+@all", "%R~k"), user("+@all", "%W~k")
    assert denied(reader, "get", "k") is None
    assert denied(writer, "get", "k") == ("KEY", b"k")
    assert denied(writer, "set", "k", "v") is None
    assert denied(writer, "set", "k", "v", "GET") == ("KEY", b"k")
    assert denied(reader, "bitfield", "k", "get", "u8", "0", "GET", "u8", "1") is None
    assert denied(reader, "bitfield", "k", "get", "u8", "0", "incrby", "u8", "1", "1") == ("KEY", b"k")
    assert denied(reader, "exists", "k") is None
    assert denied(writer, "exists", "k") is None
    assert denied(reader, "del", "k") == ("KEY", b"k")


def test_both_parts_of_a_pattern_may_come_from_different_words_but_not_from_different_selectors() -> None:
    assert denied(user("+@all", "%R~k", "%W~k"), "incr", "k") is None
    assert denied(user("+@all", "%R~k", "(+@all %W~k)"), "incr", "k") == ("KEY", b"k")


def test_the_gravest_reason_is_told() -> None:
    who = user("+get", "~a", "(+publish ~a)", "(+@all ~* db=5)")
    assert denied(who, "set", "a", "1") == ("COMMAND", b"set")
    assert denied(who, "get", "b") == ("KEY", b"b")
    assert denied(user("db=1", "(+@all ~* db=5)"), "get", "b") == ("DATABASE", b"get")
    assert denied(who, "publish", "c", "m") == ("CHANNEL", b"c")
    assert denied(user("+@all", "~a"), "mget", "a", "b", "c") == ("KEY", b"b")


def test_what_cannot_be_read_has_no_keys() -> None:
    args = [b"eval", b"return 1", b"many", b"k"]
    row = lookup(args)
    assert row is not None
    assert key_access(row, args) == []
    assert denied(user("+eval"), "eval", "return 1", "many", "k") is None


def test_a_parenthesis_may_be_spread_over_words() -> None:
    assert merge_selectors([b"on", b"(+get", b"~a)", b"off"]) == [b"on", b"(+get ~a)", b"off"]
    with pytest.raises(RuleError) as caught:
        merge_selectors([b"on", b"(+get", b"~a"])
    assert caught.value.reason == b"Unmatched parenthesis in acl selector starting at '(+get'."


# -- the users of a node -----------------------------------------------------------------------------------------


class World:
    """Users, and sessions that act for them."""

    def __init__(self, *lines: str) -> None:
        self.settings = Settings()
        self.sessions: dict[int, Session] = {}
        configured = read_users("\n".join(lines).encode(), b"file", channels=False)
        configured.setdefault(b"default", User.default())
        self.open: list[bool] = []
        self.users = Users(self.settings, self.sessions, configured, self.open.append)

    def session(self, name: bytes = b"", password: bytes = b"") -> Session:
        session = Session(len(self.sessions), FakeOutlet(), "", "", time.time())
        self.sessions[session.id] = session
        self.users.admit(session)
        assert not name or self.users.log_in(session, name, password)
        return session


def closed(session: Session) -> str:
    assert isinstance(session.outlet, FakeOutlet)
    return session.outlet.closed


def test_only_the_sessions_of_restricted_users_are_looked_at() -> None:
    world = World("user ann on >pw ~* +@all")
    assert world.session().guards == 0
    ann = world.session(b"ann", b"pw")
    assert ann.guards == Guard.RESTRICTED, "she may use no channels"
    world.users.stored(b"ann", b"on nopass allkeys allchannels allcommands")
    assert (ann.guards, ann.permissions) == (0, None)
    world.users.stored(b"default", b"on nopass ~* &* +@all -get")
    other = world.session()
    assert other.guards == Guard.RESTRICTED
    world.users.stored(b"default", None)
    assert other.guards == 0


def test_what_is_stored_lies_over_what_is_configured() -> None:
    world = World("user ann on >pw ~a +@all")
    session = world.session(b"ann", b"pw")
    world.users.stored(b"ann", b"off ~b +@all")
    assert session.permissions.describe() == b"off ~b resetchannels +@all"
    assert not world.users.log_in(session, b"ann", b"pw")
    world.users.stored(b"ann", None)
    assert world.users.log_in(session, b"ann", b"pw")
    world.users.stored(b"ann", b"")
    assert world.users.get(b"ann") is None
    assert closed(session) == "now"


def test_a_connection_needs_a_password_when_the_default_user_has_one_or_is_off() -> None:
    world = World()
    assert world.open == [True]
    for text, is_open in ((b"on >x", False), (b"on nopass", True), (b"off nopass", False), (None, True)):
        world.users.stored(b"default", text)
        assert world.open[-1] is is_open
        assert world.session().authenticated is is_open


def test_who_changes_users_hears_of_it_before_it_is_closed() -> None:
    world = World("user ann on nopass +@all")
    acting, other = world.session(b"ann"), world.session(b"ann")
    world.users.acting.add(acting)
    world.users.stored(b"ann", b"")
    assert (closed(acting), closed(other)) == ("after reply", "now")


def test_rules_that_this_version_does_not_know_allow_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.users.stored(b"ann", b"on nopass ~* +nosuch")
    ann = world.users.get(b"ann")
    assert ann is not None
    assert ann.describe() == b"off resetchannels -@all"
    assert "ann" in caplog.text


def test_a_file_reads_as_it_was_written() -> None:
    world = World("user ann on >pw ~a* (+get %R~b)", "", "  user bob off \t", "user carl")
    text = write_users(world.users.all())
    assert text.startswith(b"user ann on #")
    assert write_users(list(read_users(text, b"f", channels=False).values())) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("foo", "f:1 should start with user keyword followed by the username. "),
        ("\nuser", "f:2 should start with user keyword followed by the username. "),
        ("user a on\nuser a off", "WARNING: Duplicate user 'a' found on line 2. "),
        ("user a\ton", "'f:1: username 'a\ton' contains invalid characters. "),
        ("user a (+get", "f:1: Unmatched parenthesis in selector definition."),
        (
            "user a +nosuch foo bar +@none",
            "f:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. f:1: Syntax error. "
            "f:1: Error in applying operation '+@none': Unknown command or category name in ACL. ",
        ),
    ],
)
def test_all_that_is_wrong_with_a_file_is_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- compared below
        read_users(text.encode(), b"f", channels=False)
    assert str(caught.value) == problem


def test_the_log_keeps_so_many_entries_and_looks_at_so_few() -> None:
    settings = Settings()
    log = AclLog(settings)
    for number in range(200):
        log.add(b"key", b"toplevel", b"%d" % number, b"ann", b"")
    assert len(log.entries) == 128
    log.add(b"key", b"toplevel", b"195", b"ann", b"later")
    assert (log.entries[0].count, log.entries[0].client_info) == (2, b"later")
    log.add(b"key", b"toplevel", b"150", b"ann", b"")
    assert log.entries[0].count == 1, "too far down to be found"
    log.entries[0].updated_ms -= 61_000
    log.add(b"key", b"toplevel", b"150", b"ann", b"")
    assert log.entries[0].count == 1, "too long ago"


def test_a_script_is_refused_and_that_is_reported() -> None:
    reported: list[Denial] = []
    caller = Caller(user("+get", "~a"), lambda who, denial: reported.append(denial))
    row = lookup([b"get", b"b"])
    assert row is not None
    assert not caller.may(row, [b"get", b"b"], 0)
    assert reported == []
    assert (
        caller.refusal(row, [b"get", b"b"], 0) == b"ERR ACL failure in script: No permissions to access a key"
    )
    assert [denial.reason for denial in reported] == [Reason.KEY]
    assert caller.refusal(row, [b"get", b"a"], 0) is None


def test_who_may_do_everything_may_do_so_behind_somebody_who_may_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "data")
    row = lookup([b"eval"])
    assert row is not None
    args = [b"EVAL", b"return redis.call('GET', KEYS[1])", b"1", b"k"]
    replies: list[bytes] = []
    call = Call(row, args, 0, 2, Later(replies.append))
    call.caller = Caller(user("+eval"), lambda who, denial: None)
    bench.shard.submit(call)
    assert bench.shard.evaluate_for_all(row, args, 0, 2) == b"$-1\r\n"
    bench.turn()
    bench.commit(bench.group.last_index)
    assert b"ACL failure" in replies[0]
    bench.store.close()
