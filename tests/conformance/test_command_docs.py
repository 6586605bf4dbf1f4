"""COMMAND DOCS against the one of a real Valkey 9.1: what a client shows of each command's syntax, and the kind of each
value.

How arguments are grouped, and what a group is called, is not compared: no client shows it. Summaries and complexities
are in our own words, and so is what has changed in which version.
"""

from typing import Any

import pytest

from server.commands import all as all_commands
from server.commands.command_command import open_commands
from server.commands.syntax import arguments_of, names
from server.dispatch import transactions
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply

assert all_commands.loaded
assert transactions.exec_

ROWS = {row.name: row for top in open_commands() for row in (top, *top.subcommands.values()) if row.open}
OURS_ALONE = {"cluster|rebuild"}
SLIPS = {
    "zincrby": ("increment:integer", "increment:double"),
    "hexpireat": ("seconds:integer", "seconds:unix-time"),
    "hpexpireat": ("milliseconds:integer", "milliseconds:unix-time"),
}
"""What Valkey has got wrong, and what we say."""

Fields = dict[bytes, Any]


def plain(reply: Reply) -> Any:
    """Maps as such; all else without its kind."""
    if reply.kind == "%":
        values = [plain(each) for each in reply.value]
        return dict(zip(values[::2], values[1::2], strict=True))
    if isinstance(reply.value, list):
        return [plain(each) for each in reply.value]
    return reply.value


def docs_of(server: Server) -> dict[str, Fields]:
    """All commands and their subcommands."""
    with Connection(HOST, server.port, 3) as connection:
        found: dict[bytes, Fields] = plain(connection.ask("COMMAND", "DOCS"))
    subcommands = [fields.get(b"subcommands", {}) for fields in found.values()]
    return {name.decode(): fields for part in (found, *subcommands) for name, fields in part.items()}


def syntax(arguments: list[Fields]) -> str:
    """As redis-cli would hint at it, and with each value the kind and, of a key, the number of its specification."""
    return " ".join(shown(argument) for argument in arguments)


def shown(argument: Fields) -> str:
    """One argument as `syntax` has it."""
    kind, flags = argument[b"type"].decode(), set(argument.get(b"flags", ()))
    token = [argument[b"token"].decode() or '""'] if b"token" in argument else []
    parts = [shown(part) for part in argument.get(b"arguments", ())]
    if kind == "oneof":
        what = [" | ".join(parts) if b"optional" in flags and not token else f"<{' | '.join(parts)}>"]
    elif kind == "block":
        what = parts
    elif kind == "pure-token":
        what = []
    else:
        number = str(argument[b"key_spec_index"]) if kind == "key" else ""
        what = [f"{argument[b'display_text'].decode()}:{kind}{number}"]
    text = " ".join(token + what)
    if b"multiple" in flags:
        again = text if b"multiple_token" in flags else " ".join(what)
        text = f"{text} [{again} ...]"
    return f"[{text}]" if b"optional" in flags else text


@pytest.fixture(scope="module")
def theirs(valkey: Server) -> dict[str, Fields]:
    return docs_of(valkey)


@pytest.fixture(scope="module")
def ours(standalone: Server) -> dict[str, Fields]:
    return docs_of(standalone)


def test_every_command_has_a_line_and_every_line_a_command() -> None:
    assert names() == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_the_arity_is_that_of_the_syntax(name: str) -> None:
    def fewest(argument: Fields) -> int:
        if b"optional" in set(argument.get(b"flags", ())):
            return 0
        counts = [fewest(part) for part in argument.get(b"arguments", ())]
        own = (min if argument[b"type"] == b"oneof" else sum)(counts) if counts else 1
        return own + (b"token" in argument and argument[b"type"] != b"pure-token")

    row = ROWS[name]
    if name == "cluster|migrateslots":
        return  # it is refused, and Valkey takes fewer arguments than it can mean
    count = name.count("|") + 1 + sum(fewest(argument) for argument in arguments_of(name) or ())
    assert count <= abs(row.arity)


def test_the_syntax_is_valkeys(theirs: dict[str, Fields], ours: dict[str, Fields]) -> None:
    differing = {}
    for name in set(ours) - OURS_ALONE:
        expected, got = (syntax(docs[name].get(b"arguments", [])) for docs in (theirs, ours))
        if name in SLIPS:
            assert SLIPS[name][0] in expected, f"{name}: a difference that is none any more"
            expected = expected.replace(*SLIPS[name])
        if expected != got:
            differing[name] = expected, got
    assert differing == {}


def test_all_else_that_is_told_is_there(theirs: dict[str, Fields], ours: dict[str, Fields]) -> None:
    for name in set(ours) - OURS_ALONE:
        for field in (b"since", b"group"):
            assert ours[name][field] == theirs[name][field], name
        assert ours[name][b"summary"].endswith(b".")
        assert len(ours[name][b"summary"]) > 10, name
        assert b"complexity" in ours[name] or b"complexity" not in theirs[name], name
        assert set(ours[name].get(b"subcommands", ())) - {sub.encode() for sub in OURS_ALONE} == set(
            theirs[name].get(b"subcommands", ())
        ), name


def test_what_has_changed_is_told_with_the_versions_of_valkey(
    theirs: dict[str, Fields], ours: dict[str, Fields]
) -> None:
    def versions(fields: Fields) -> list[bytes]:
        return sorted(version for version, _ in fields.get(b"history", ()))

    assert {name: versions(ours[name]) for name in ROWS if name not in OURS_ALONE} == {
        name: versions(theirs[name]) for name in ROWS if name not in OURS_ALONE
    }


def test_what_nobody_should_use_is_marked_as_by_valkey(
    theirs: dict[str, Fields], ours: dict[str, Fields]
) -> None:
    for name in set(ours) - OURS_ALONE:
        for field in (b"doc_flags", b"deprecated_since", b"replaced_by"):
            assert ours[name].get(field) == theirs[name].get(field), name


def test_an_argument_is_told_in_the_form_of_valkey(valkey: Server, standalone: Server) -> None:
    replies = []
    for server in (valkey, standalone):
        for protocol in (2, 3):
            with Connection(HOST, server.port, protocol) as connection:
                fields = plain(connection.ask("COMMAND", "DOCS", "sintercard"))
                fields = fields[b"sintercard"] if protocol == 3 else fields[1]
                replies.append(fields[b"arguments"] if protocol == 3 else fields[-1])
    assert replies[:2] == replies[2:]
