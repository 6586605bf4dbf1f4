"""The command table against the one of a real Valkey 9.1: arity, flags, keys, key specifications, tips, ACL categories.

What differs on purpose stands in `DIFFERENCES`, with the reason. Commands that only Valkey has are no matter here.
"""

import socket
from collections.abc import Iterable, Iterator
from typing import Any

import hiredis
import pytest

from resp.replies import encode
from server.commands import all as all_commands
from server.commands.command_command import describe_command, open_commands
from server.dispatch import transactions
from tests.conformance.harness import servers
from tests.ports import HOST

assert all_commands.loaded
assert transactions.exec_

FIELDS = {
    1: "arity",
    2: "flags",
    3: "first key",
    4: "last key",
    5: "step",
    6: "categories",
    7: "tips",
    8: "key specs",
}

_WHOLE = "any node answers for all shards"
_ALL_NODES = "any node does it for all nodes"

DIFFERENCES = {
    **{(name, "tips"): _WHOLE for name in ("dbsize", "flushall", "flushdb", "keys", "randomkey", "scan")},
    **{(f"function|{name}", "tips"): _ALL_NODES for name in ("delete", "flush", "load", "restore")},
    (
        "cluster|rebuild",
        "existence",
    ): "the steps of `redraft rebuild`; only here data comes back from the peers",
    ("lmpop", "key specs"): "as msetex",
    ("blmpop", "key specs"): "as msetex",
    ("migrate", "key specs"): "KEYS' keys are found by a function of the table, not by a specification",
    ("georadius", "key specs"): "STORE's key is found by a function of the table, not by a specification",
    ("georadiusbymember", "key specs"): "the same",
    ("msetex", "key specs"): "a function of the table finds its keys; COMMAND GETKEYS gives them",
}


def flat(rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Commands and their subcommands."""
    for row in rows:
        yield row
        yield from flat(row[9])


def comparable(row: list[Any], field: int) -> Any:
    """A field of COMMAND INFO as RESP2 has it, without the order of what has none."""
    value = row[field]
    if field in (2, 6, 7):
        return sorted(value)
    if field == 8:
        specs = [dict(zip(spec[::2], spec[1::2], strict=True)) for spec in value]
        return [(sorted(spec[b"flags"]), spec[b"begin_search"], spec[b"find_keys"]) for spec in specs]
    return value


def our_table() -> dict[str, list[Any]]:
    reader = hiredis.Reader()
    reader.feed(encode([describe_command(row) for row in open_commands()], 2))
    return {row[0].decode(): row for row in flat(reader.gets())}


@pytest.fixture(scope="module")
def valkeys_table() -> dict[str, list[Any]]:
    reader = hiredis.Reader()
    with servers.valkey() as server, socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(b"COMMAND\r\n")
        while (rows := reader.gets()) is False:
            reader.feed(connection.recv(1 << 16))
    return {row[0].decode(): row for row in flat(rows)}


def test_every_command_is_declared_as_valkey_declares_it(valkeys_table: dict[str, list[Any]]) -> None:
    differing: dict[tuple[str, str], Any] = {}
    for name, ours in our_table().items():
        theirs = valkeys_table.get(name)
        if theirs is None:
            differing[name, "existence"] = "only here"
            continue
        for field, title in FIELDS.items():
            values = comparable(ours, field), comparable(theirs, field)
            if values[0] != values[1]:
                differing[name, title] = values
    assert {what: values for what, values in differing.items() if what not in DIFFERENCES} == {}
    assert set(DIFFERENCES) <= set(differing), "a difference that is none any more"
