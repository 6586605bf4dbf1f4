"""Every command of our table, with too few and too many arguments: the error is Valkey's.

Needs no list: a new command is covered as soon as it is declared. Nothing here has a valid number of arguments, so
nothing runs.
"""

from collections.abc import Iterator

import pytest

from server.commands import all as all_commands
from server.commands.table import COMMANDS, Command, Flag
from tests.conformance.harness.compare import run, transcript
from tests.conformance.harness.servers import Server
from tests.conformance.harness.wire import Reply, Request

assert all_commands.loaded


def declared() -> Iterator[Command]:
    """Commands and subcommands that clients may call."""
    for row in {id(row): row for row in COMMANDS.values()}.values():
        if row.open:
            yield row
            yield from row.subcommands.values()


OURS_ALONE = {"cluster|rebuild"}
ROWS = {row.name: row for row in declared() if row.name not in OURS_ALONE}


def wrong_counts(row: Command) -> list[Request]:
    """The command with each number of arguments that it does not take, up to one too many."""
    name = row.name.upper().split("|")
    counts = [*range(len(name), abs(row.arity)), *([row.arity + 1] if row.arity > 0 else [])]
    if row.is_container:
        counts = [1]
    return [[*name, *["1"] * (count - len(name))] for count in counts]


def differing(requests: list[Request], theirs: list[Reply], ours: list[Reply]) -> list[str]:
    """What to tell a person about replies that differ."""
    return [
        f"{transcript([request])[:200]}\nvalkey:  {expected}\nredraft: {got}"
        for request, expected, got in zip(requests, theirs, ours, strict=True)
        if expected != got
    ]


@pytest.mark.parametrize("name", ROWS)
def test_a_wrong_number_of_arguments_is_told_as_by_valkey(
    valkey: Server, standalone: Server, name: str
) -> None:
    requests = wrong_counts(ROWS[name])
    theirs = run(valkey, name, requests, 2)
    assert all(reply.is_error for reply in theirs)
    assert not differing(requests, theirs, run(standalone, name, requests, 2))


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.flags & Flag.NO_MULTI])
def test_what_can_not_be_in_a_transaction_is_refused_as_by_valkey(
    valkey: Server, standalone: Server, name: str
) -> None:
    row = ROWS[name]
    words = name.upper().split("|")
    request = [*words, *["1"] * (abs(row.arity) - len(words))]
    steps: list[Request] = [["MULTI"], ["SET", "k", "1"], request, ["EXEC"], ["GET", "k"]]
    assert not differing(steps, run(valkey, name, steps, 2), run(standalone, name, steps, 2))


CONTAINERS = [name for name, row in ROWS.items() if row.subcommands]
UNKNOWN: list[Request] = [
    ["NOSUCH"],
    ["nosuch", "a", "", "c d"],
    [""],
    ["", ""],
    ["x" * 1000],
    ["NOSUCH", "x" * 1000, "y"],
    ["NOSUCH", *["0123456789"] * 20],
    ["NOSUCH", "x" * 128, "y"],
    ["NOSUCH", "x" * 125, "y", "z"],
    ["no'such", "a'b"],
    [b"\x00\xff", b"\r\n\x00\xff"],
    ["GET\r\n", "a\r\nb"],
    ["_watch", "k"],
    ["config|get", "x"],
    ["CONFIG GET", "x"],
    *([name.upper(), unknown] for name in CONTAINERS for unknown in ("NOSUCH", "", "x" * 300)),
    *([name.upper(), "no'such\r\n", "more"] for name in CONTAINERS),
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_unknown_commands_are_told_as_by_valkey(valkey: Server, redraft: Server, protocol: int) -> None:
    theirs, ours = (run(server, "unknown", UNKNOWN, protocol) for server in (valkey, redraft))
    assert not differing(UNKNOWN, theirs, ours)


def test_the_list_of_commands_is_part_of_valkeys(valkey: Server) -> None:
    (theirs,) = run(valkey, "list", [["COMMAND", "LIST"]], 2)
    assert {name for name in ROWS if "|" not in name} <= {reply.value.decode() for reply in theirs.value}
