"""Users and several clients: who is closed, what changes for those that are connected. A real Valkey tells the same
stories; in the cluster each client talks to another node, so that what one does must reach them all.
"""

import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.access.check import check
from server.access.rules import User
from server.commands import all as all_commands
from server.commands.table import every_command
from server.dispatch import transactions
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply
from tests.conformance.test_blocking import wait

Open = Callable[..., Connection]
patience_s = 90.0
assert all_commands.loaded
assert transactions.exec_
DRYRUN_DIFFERS = frozenset(("cluster|rebuild", "lmpop", "blmpop", "pfmerge"))
"""A command that only we have; some that are not looked at here when the rest of the request makes no sense, as they
will not run then; and one whose only key Valkey does not see when there is no second."""


@pytest.fixture(params=["valkey", "standalone", "cluster"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: Server) -> Iterator[Open]:
    """Opens connections, to one node after the other; the first is the administrator's."""
    connections: list[Connection] = []

    def connect(protocol: int = 2) -> Connection:
        connections.append(Connection(HOST, server.ports[len(connections) % len(server.ports)], protocol))
        return connections[-1]

    admin = connect()
    admin.ask("FLUSHALL")
    yield connect
    admin.ask("CONFIG", "SET", "requirepass", "")
    admin.ask("ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all")
    admin.ask("ACL", "DELUSER", "ann", "bob")
    for port in server.ports:
        eventually(lambda port=port: works(port), "everybody may do everything again")
        with Connection(HOST, port) as connection:
            connection.ask("ACL", "LOG", "RESET")
    for connection in connections:
        connection.close()


def works(port: int) -> bool:
    with Connection(HOST, port) as connection:
        return plain(connection.ask("ACL", "LIST")) == [b"user default on nopass ~* &* +@all"]


def eventually(look: Callable[[], bool], claim: str) -> None:
    """Other nodes hear of a change a moment later."""
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        if look():
            return
        time.sleep(0.02)
    raise AssertionError(claim)


def plain(reply: Reply) -> object:
    return [plain(element) for element in reply.value] if isinstance(reply.value, list) else reply.value


def is_closed(connection: Connection) -> bool:
    try:
        connection.ask("PING")
    except (EOFError, OSError):
        return True
    return False


def make(client: Open, admin: Connection, *rules: str) -> Connection:
    """A client that is logged in as ann."""
    assert plain(admin.ask("ACL", "SETUSER", "ann", "reset", "on", ">pw", *rules)) == b"OK"
    connection = client()
    eventually(lambda: plain(connection.ask("AUTH", "ann", "pw")) == b"OK", "every node knows ann")
    return connection


def test_a_users_connections_end_with_it(client: Open) -> None:
    admin = client()
    first, second, other = make(client, admin, "+@all"), make(client, admin, "+@all"), client()
    assert plain(admin.ask("ACL", "DELUSER", "ann")) == 1
    eventually(lambda: is_closed(first), "closed")
    eventually(lambda: is_closed(second), "closed")
    assert plain(other.ask("PING")) == b"PONG"
    eventually(lambda: b"WRONGPASS" in other.ask("AUTH", "ann", "pw").value, "no such user")


def test_who_deletes_itself_is_told_so_before_it_is_closed(client: Open) -> None:
    ann = make(client, client(), "+@all")
    assert plain(ann.ask("ACL", "DELUSER", "ann")) == 1
    eventually(lambda: is_closed(ann), "closed")


def test_changes_hold_for_those_who_are_connected(client: Open) -> None:
    admin = client()
    ann = make(client, admin, "~*", "+@all")
    ann.ask("SET", "key", "value")
    for _ in range(3):
        assert plain(ann.ask("GET", "key")) == b"value"
    admin.ask("ACL", "SETUSER", "ann", "resetkeys", "~other")
    denied = b"NOPERM No permissions to access a key"
    eventually(lambda: plain(ann.ask("GET", "key")) == denied, "the key is not allowed any more")
    admin.ask("ACL", "SETUSER", "ann", "-get", "~key")
    denied = b"NOPERM User ann has no permissions to run the 'get' command"
    eventually(lambda: plain(ann.ask("GET", "key")) == denied, "the command is not allowed any more")
    admin.ask("ACL", "SETUSER", "ann", "+@all", "~*")
    eventually(lambda: plain(ann.ask("GET", "key")) == b"value", "all is well again")


def test_a_change_of_the_default_user_holds_for_all_who_never_logged_in(client: Open) -> None:
    admin, reader = client(), client()
    reader.ask("SET", "key", "value")
    assert plain(reader.ask("GET", "key")) == b"value"
    admin.ask("ACL", "SETUSER", "default", "-get")
    denied = b"NOPERM User default has no permissions to run the 'get' command"
    eventually(lambda: plain(reader.ask("GET", "key")) == denied, "not allowed")
    assert plain(admin.ask("GET", "key")) == denied
    admin.ask("ACL", "SETUSER", "default", "+get")
    eventually(lambda: plain(reader.ask("GET", "key")) == b"value", "allowed")


def test_who_is_switched_off_stays_but_can_not_come_back(client: Open) -> None:
    admin = client()
    ann = make(client, admin, "~*", "+@all")
    admin.ask("ACL", "SETUSER", "ann", "off")
    assert plain(ann.ask("SET", "key", "1")) == b"OK"
    refused = b"WRONGPASS invalid username-password pair or user is disabled."
    eventually(lambda: plain(ann.ask("AUTH", "ann", "pw")) == refused, "no way back")
    assert plain(ann.ask("ACL", "WHOAMI")) == b"ann"
    assert plain(ann.ask("RESET")) == b"RESET"
    assert plain(ann.ask("ACL", "WHOAMI")) == b"default"


def test_subscribers_are_closed_when_their_channel_is_taken_away(client: Open) -> None:
    admin = client()
    stays, goes = make(client, admin, "+@all", "&a*", "&b"), client()
    eventually(lambda: plain(goes.ask("AUTH", "ann", "pw")) == b"OK", "known")
    patterns = client()
    eventually(lambda: plain(patterns.ask("AUTH", "ann", "pw")) == b"OK", "known")
    assert plain(stays.ask("SUBSCRIBE", "a1")) == [b"subscribe", b"a1", 1]
    assert plain(goes.ask("SSUBSCRIBE", "b")) == [b"ssubscribe", b"b", 1]
    assert plain(patterns.ask("PSUBSCRIBE", "a*")) == [b"psubscribe", b"a*", 1]
    admin.ask("ACL", "SETUSER", "ann", "&c")
    time.sleep(0.1)
    assert not any(is_closed(one) for one in (stays, goes, patterns))
    admin.ask("ACL", "SETUSER", "ann", "resetchannels", "&a1", "(+subscribe &a1*)")
    eventually(lambda: is_closed(goes), "its channel is not allowed")
    eventually(lambda: is_closed(patterns), "a pattern must be allowed literally")
    assert not is_closed(stays)
    admin.ask("ACL", "SETUSER", "ann", "allchannels")
    assert not is_closed(stays)
    admin.ask("ACL", "SETUSER", "ann", "resetchannels", "clearselectors")
    eventually(lambda: is_closed(stays), "now its channel is gone too")


def test_requirepass_is_the_password_of_the_default_user(client: Open) -> None:
    admin, connected = client(), client()
    assert plain(admin.ask("CONFIG", "SET", "requirepass", "secret")) == b"OK"
    assert plain(connected.ask("PING")) == b"PONG"
    no_auth = b"NOAUTH Authentication required."
    eventually(lambda: plain(client().ask("PING")) == no_auth, "new ones must log in")
    for request in (["NOSUCH"], ["GET"], ["CONFIG"], ["CONFIG", "NOSUCH"], ["CONFIG", "SET", "hz"]):
        eventually(lambda request=request: plain(client().ask(*request)) == no_auth, "what is wrong too")
    eventually(lambda: b"wrong number" in client().ask("AUTH").value, "but for how to log in")
    new = client()
    eventually(lambda: b"NOAUTH HELLO" in client().ask("HELLO", "3").value, "HELLO too")
    eventually(
        lambda: b"WRONGPASS" in new.ask("AUTH", "wrong").value, "a wrong one is told from the right one"
    )
    assert plain(new.ask("AUTH", "secret")) == b"OK"
    assert plain(new.ask("PING")) == b"PONG"
    eventually(lambda: plain(client().ask("AUTH", "default", "secret")) == b"OK", "with a name too")
    assert plain(admin.ask("CONFIG", "GET", "requirepass")) == [b"requirepass", b"secret"]
    admin.ask("ACL", "SETUSER", "default", ">second")
    eventually(lambda: plain(client().ask("AUTH", "second")) == b"OK", "both passwords do")
    eventually(lambda: plain(client().ask("AUTH", "secret")) == b"OK", "the first too")
    assert plain(admin.ask("CONFIG", "SET", "requirepass", "")) == b"OK"
    eventually(lambda: plain(client().ask("PING")) == b"PONG", "none is needed")
    unneeded = b"ERR AUTH <password> called without any password configured for the default user."
    eventually(lambda: client().ask("AUTH", "secret").value.startswith(unneeded), "nowhere")


def test_a_default_user_that_is_off_lets_nobody_in_without_a_name(client: Open) -> None:
    admin = client()
    ann = make(client, admin, "+@all", "~*")
    admin.ask("ACL", "SETUSER", "default", "off")
    eventually(
        lambda: plain(client().ask("PING")) == b"NOAUTH Authentication required.", "closed to strangers"
    )
    eventually(lambda: b"WRONGPASS" in client().ask("AUTH", "default", "x").value, "by name neither")
    assert plain(admin.ask("PING")) == b"PONG"
    assert plain(ann.ask("PING")) == b"PONG"
    ann.ask("RESET")
    assert plain(ann.ask("PING")) == b"NOAUTH Authentication required."
    new = client()
    eventually(lambda: plain(new.ask("AUTH", "ann", "pw")) == b"OK", "with a name one gets in")
    assert plain(new.ask("GET", "x")) is None


def entries(connection: Connection, *count: str) -> list[dict[bytes, object]]:
    found = plain(connection.ask("ACL", "LOG", *count))
    assert isinstance(found, list)
    return [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in found]


def test_the_log_tells_what_was_refused_and_counts_what_repeats(client: Open) -> None:
    admin = client()
    ann = make(client, admin, "~a", "+@all", "-info", "&c")
    ann.ask("ACL", "LOG", "RESET")
    ann.ask("CLIENT", "SETNAME", "ann-here")
    for _ in range(3):
        ann.ask("GET", "x")
    ann.ask("INFO")
    ann.ask("PUBLISH", "d", "m")
    ann.ask("MULTI")
    ann.ask("GET", "x")
    ann.ask("DISCARD")
    ann.ask("AUTH", "ann", "wrong")
    ann.ask("AUTH", "nobody", "x")
    ann.ask("GET", "x")
    found = entries(ann)
    shown = [(e[b"count"], e[b"reason"], e[b"context"], e[b"object"], e[b"username"]) for e in found]
    assert shown == [
        (4, b"key", b"toplevel", b"x", b"ann"),
        (1, b"auth", b"toplevel", b"AUTH", b"nobody"),
        (1, b"auth", b"toplevel", b"AUTH", b"ann"),
        (1, b"key", b"multi", b"x", b"ann"),
        (1, b"channel", b"toplevel", b"d", b"ann"),
        (1, b"command", b"toplevel", b"info", b"ann"),
    ]
    first = found[0]
    assert b"name=ann-here" in first[b"client-info"]
    assert b"cmd=get" in first[b"client-info"]
    assert float(first[b"age-seconds"]) < 60
    assert first[b"timestamp-created"] <= first[b"timestamp-last-updated"]
    ids = [entry[b"entry-id"] for entry in found]
    assert sorted(ids[1:], reverse=True) == ids[1:]
    assert ids[0] < min(ids[1:])
    assert len(entries(ann, "2")) == 2
    assert entries(ann, "-1") == []
    ann.ask("CONFIG", "SET", "acllog-max-len", "3")
    ann.ask("GET", "y")
    assert len(entries(ann, "100")) == 3
    ann.ask("CONFIG", "SET", "acllog-max-len", "128")
    assert plain(ann.ask("ACL", "LOG", "reset")) == b"OK"
    assert entries(ann) == []


def test_clients_can_be_found_by_their_user(client: Open) -> None:
    admin = client()
    ann = make(client, admin, "+@all")
    listed = ann.ask("CLIENT", "LIST", "USER", "ann").value
    assert listed.count(b"user=ann") == 1
    assert plain(ann.ask("CLIENT", "KILL", "USER", "ann", "SKIPME", "yes")) == 0
    assert plain(ann.ask("CLIENT", "KILL", "USER", "ann", "SKIPME", "no")) == 1
    eventually(lambda: is_closed(ann), "it killed itself")


def test_passwords_do_not_show_in_monitor_and_slowlog(client: Open) -> None:
    admin = client()
    admin.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    admin.ask("ACL", "SETUSER", "ann", ">very-secret")
    admin.ask("AUTH", "ann", "very-secret-too")
    shown = str(admin.ask("SLOWLOG", "GET", "100"))
    admin.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    admin.ask("SLOWLOG", "RESET")
    assert "very-secret" not in shown


def test_scripts_ask_for_their_user_wherever_they_run(client: Open) -> None:
    admin = client()
    ann = make(client, admin, "~{k}*", "~a*", "~b*", "~c*", "~d*", "+@all", "-strlen")
    for key in ("a1", "b1", "c1", "d1", "{k}1"):
        script = "return redis.call(ARGV[1], KEYS[1], 'v')"
        assert plain(ann.ask("EVAL", script, "1", key, "set")) == b"OK"
        reply = ann.ask("EVAL", "return redis.call('strlen', KEYS[1])", "1", key)
        assert b"ACL failure in script: User ann has no permissions to run the 'strlen'" in reply.value
        assert plain(ann.ask("EVAL", "return redis.acl_check_cmd('strlen', KEYS[1])", "1", key)) is None
        assert plain(ann.ask("EVAL", "return redis.acl_check_cmd('get', KEYS[1])", "1", key)) == 1
        assert plain(admin.ask("EVAL", "return redis.call('strlen', KEYS[1])", "1", key)) == 1
        ann.ask("MULTI")
        ann.ask("EVAL", "return redis.pcall('strlen', KEYS[1])", "1", key)
        done = plain(ann.ask("EXEC"))
        assert isinstance(done, list)
        assert b"ACL failure in script" in done[0]
    newest = entries(ann)[0]
    shown = [newest[field] for field in (b"count", b"reason", b"context", b"object", b"username")]
    assert shown == [10, b"command", b"lua", b"strlen", b"ann"], (
        "the log of the node that the client talks to"
    )
    assert b"user=ann" in newest[b"client-info"]


def test_who_waits_for_a_key_that_is_taken_away_gets_nothing(client: Open) -> None:
    admin = client()
    for change, reason in (
        (["resetkeys"], b"NOPERM No permissions to access a key"),
        (["-blpop"], b"NOPERM User ann has no permissions to run the 'blpop' command"),
    ):
        ann = make(client, admin, "~k", "+@all")
        wait(ann, "BLPOP", "k", "0")
        admin.ask("ACL", "SETUSER", "ann", *change)
        time.sleep(0.2)
        assert plain(admin.ask("RPUSH", "k", "element")) == 1
        assert plain(ann.read()) == reason
        assert plain(admin.ask("LPOP", "k")) == b"element"


def test_every_command_needs_what_it_needs_in_valkey(valkey: Server) -> None:
    """DRYRUN of the whole table, with arguments that make keys wherever they may stand, for users who lack one thing
    or another."""
    users = {
        "none": ["~*", "&*"],
        "keys": ["+@all", "&*"],
        "read": ["+@all", "%R~*", "&*"],
        "write": ["+@all", "%W~*", "&*"],
        "channels": ["+@all", "~*"],
        "databases": ["+@all", "~*", "&*", "db=1"],
        "slow": ["~*", "&*", "+@slow", "-@dangerous", "+@write"],
    }
    differing = {}
    with Connection(HOST, valkey.port) as connection:
        for name, rules in users.items():
            connection.ask("ACL", "SETUSER", "ann", "reset", "on", *rules)
            user = User(b"ann")
            user.follow([rule.encode() for rule in rules])
            for row in every_command():
                if row.is_container or not row.open or row.name in DRYRUN_DIFFERS:
                    continue
                words = row.name.split("|")
                for more in (0, 1, 2, 5):
                    if row.arity > 0 and more:
                        break
                    request = words + ["1"] * (abs(row.arity) - len(words) + more)
                    args = [word.encode() for word in request]
                    denial = check(user, row, args, 0)
                    ours = b"OK" if denial is None else denial.detail(user, args)
                    theirs = connection.ask("ACL", "DRYRUN", "ann", *request)
                    if not theirs.is_error and theirs.value != ours:
                        differing[name, " ".join(request)] = (theirs.value, ours)
        connection.ask("ACL", "DELUSER", "ann")
    assert not differing, "\n".join(map(str, differing.items()))


ALPHABET = st.sampled_from(
    [
        *(
            "on",
            "off",
            "nopass",
            "resetpass",
            "reset",
            "clearselectors",
            "allkeys",
            "resetkeys",
            "allchannels",
        ),
        *(
            "resetchannels",
            "allcommands",
            "nocommands",
            "alldbs",
            "resetdbs",
            "db=1",
            "db=3,2,0",
            "db=x",
            "~*",
            "~a",
        ),
        *(
            "~b*",
            "%R~a",
            "%W~a",
            "%rw~c?",
            "%~x",
            "&*",
            "&ch",
            "&p*",
            "+@all",
            "-@all",
            "+get",
            "-get",
            "+set",
            "-set",
        ),
        *("+get|x", "+select|0", "+select|1", "-select", "+config", "-config", "+config|set", "-config|set"),
        *(
            "+@read",
            "-@read",
            "+@write",
            "-@write",
            "+@dangerous",
            "-@dangerous",
            "+@nosuch",
            "+nosuch",
            ">one",
        ),
        *(
            ">two",
            "<one",
            "#" + "b" * 64,
            "!" + "b" * 64,
            "(+get ~a)",
            "(%R~x +@string -set)",
            "()",
            "(",
            "+get)",
        ),
        *("(db=1 ~* +@all)", "", "nonsense", "AllKeys", "+GET", "-@Fast", "+@FAST"),
    ]
)
QUESTIONS = [
    *(["get", "a"], ["get", "x1"], ["set", "a", "1"], ["set", "c1", "1", "get"], ["mget", "a", "b1", "z"]),
    *(
        ["config", "set", "a", "b"],
        ["config", "get", "a"],
        ["select", "0"],
        ["select", "3"],
        ["publish", "ch", "m"],
    ),
    *(["psubscribe", "p*"], ["flushall"], ["acl", "whoami"], ["del", "a"], ["keys", "*"], ["ping"]),
]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(ALPHABET, min_size=1, max_size=5), min_size=1, max_size=5))
def test_any_rules_mean_what_they_mean_in_valkey(
    valkey: Server, standalone: Server, changes: list[list[str]]
) -> None:
    requests: list[list[str]] = [["ACL", "DELUSER", "ann"], ["ACL", "SETUSER", "ann"]]
    for words in changes:
        requests += [["ACL", "SETUSER", "ann", *words], ["ACL", "LIST"], ["ACL", "GETUSER", "ann"]]
    requests += [["ACL", "DRYRUN", "ann", *question] for question in QUESTIONS]
    requests.append(["ACL", "DELUSER", "ann"])
    with Connection(HOST, valkey.port) as theirs, Connection(HOST, standalone.port) as ours:
        for request, expected, got in zip(
            requests, theirs.ask_all(requests), ours.ask_all(requests), strict=True
        ):
            assert plain(got) == plain(expected), request
