"""Every parameter of CONFIG against a real Valkey: its default, and what it says to values of every kind.

Nothing to list: a parameter that the real one has is asked for, and set to each of `VALUES`. What differs on purpose
stands below, with the reason.
"""

from pathlib import Path

import pytest

from server.parameters.table import PARAMETERS
from tests.conformance import parameters
from tests.conformance.families import README
from tests.conformance.harness.servers import HOST, standalone, valkey
from tests.conformance.harness.wire import Connection, Reply

VALUES = (
    *("", "x", "-2", "-1", "0", "1", "2", "5", "100", "501", "1000", "1024", "1.5", "1kb", "1mb", "5%"),
    *("2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775807"),
    *("yes", "no", "YES", "maybe", "a b", "default", "127.0.0.1", "a_b", "a/b"),
)
UNTRIED = {
    *("bind", "port", "unixsocket", "maxclients", "maxmemory", "io-threads", "client-query-buffer-limit"),
    *("requirepass", "appendonly", "import-mode", "repl-timeout"),
}
"""What would change the connection that asks, or stop it."""
OURS = {
    "activedefrag": "the real one can not tell whether its allocator could",
    "bind-source-addr": "no connection is made from this address",
    "rdma-bind": "there is no RDMA",
    "rdma-port": "there is no RDMA",
}
"""Parameters that say something else when they are set, and why."""
DEFAULTS = {
    "appendfsync": "every acknowledged write is synced",
    "appendonly": "the log is always there",
    "cluster-databases": "a cluster has all databases",
    "disable-thp": "nothing forks",
    "protected-mode": "the config file says where to listen",
    "set-proc-title": "the title stays",
    "syslog-ident": "its own name",
    **dict.fromkeys(("port", "dir"), "where it runs"),
}
"""Parameters whose value at the start is another, and why."""
UNKNOWN_THERE = {"enable-debug-assert"}
"""Only Redis's own build has them."""


def _config(connection: Connection, pattern: str) -> dict[str, bytes]:
    values = connection.ask("CONFIG", "GET", pattern).value
    return {name.value.decode(): value.value for name, value in zip(values[::2], values[1::2], strict=True)}


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    with (
        valkey() as theirs,
        Connection(HOST, theirs.port) as there,
        standalone(tmp_path_factory.mktemp("parameters")) as ours,
        Connection(HOST, ours.port) as here,
    ):
        return _config(there, "*"), _config(here, "*")


def test_every_parameter_is_there_with_its_default(
    replies: tuple[dict[str, bytes], dict[str, bytes]],
) -> None:
    theirs, ours = replies
    assert set(ours) - set(theirs) == UNKNOWN_THERE
    assert set(theirs) - set(ours) == set()
    differing = {name for name, value in theirs.items() if ours[name] != value}
    assert differing == set(DEFAULTS)


def test_what_is_set_is_checked_as_by_the_real_one(tmp_path: Path) -> None:
    with (
        valkey() as theirs,
        Connection(HOST, theirs.port) as there,
        standalone(tmp_path) as ours,
        Connection(HOST, ours.port) as here,
    ):
        for each in (there, here):
            assert each.ask("CLIENT", "NO-EVICT", "ON").value == b"OK"  # or maxmemory-clients would close it
        wrong = {}
        for name in _config(there, "*"):
            if name in UNTRIED or name.startswith("tls-"):
                continue
            requests = [
                request
                for value in VALUES
                for request in (["CONFIG", "SET", name, value], ["CONFIG", "GET", name])
            ]
            if name == "save":
                requests = requests[:2]  # the real one would begin to save
            expected, got = there.ask_all(requests), here.ask_all(requests)
            if name in DEFAULTS or name in OURS:
                expected, got = _refusals(expected), _refusals(got)
            if expected != got and name not in OURS:
                wrong[name] = [
                    (request, one, other)
                    for request, one, other in zip(requests, expected, got, strict=False)
                    if one != other
                ]
        assert not wrong, wrong


def _refusals(replies: list[Reply]) -> list[Reply]:
    """Replies to CONFIG SET alone, where the value at the start is not the same."""
    return replies[::2]


def test_the_readme_lists_those_that_act() -> None:
    readme = README.read_text()
    assert parameters.with_listing(readme, parameters.listing()) == readme
    assert sum(parameter.acts for parameter in PARAMETERS) >= 14
