"""Every command with requests that are nearly right, drawn from its own syntax: Valkey says the same to each.

A request is made from the lines of COMMAND DOCS and then spoiled: an argument is replaced by one that makes no sense,
left out, said twice, or changes its place. What is drawn hangs on the command's name alone, so that a failure comes
again. A new command needs nothing here, unless what it says is no matter of its arguments: then it goes to
`TOLD_OTHERWISE`.
"""

from collections.abc import Iterator
from random import Random

import pytest

from server.commands import all as all_commands
from server.commands.command_command import open_commands
from server.commands.syntax import Argument, arguments_of
from server.commands.table import Command, Flag
from server.dispatch import transactions
from tests.conformance.harness.compare import agree, run, transcript
from tests.conformance.harness.servers import Server
from tests.conformance.harness.wire import Request

assert all_commands.loaded
assert transactions.exec_

TOLD_OTHERWISE = """
    acl|genpass acl|load acl|log acl|save auth bgrewriteaof bgsave client|id client|info client|kill client|list
    client|pause client|reply client|tracking client|unblock cluster|rebuild command command|docs command|info
    command|list commandlog|get commandlog|len config|get config|rewrite config|set debug dump exec failover
    function|dump function|kill function|list function|stats hello hrandfield info lastsave latency|doctor
    latency|histogram lolwut memory|doctor memory|malloc-stats memory|purge memory|stats memory|usage migrate
    module|help module|list module|load module|loadex module|unload monitor multi object|freq object|idletime pfdebug
    psubscribe psync punsubscribe quit randomkey replconf replicaof reset role save scan script|debug script|kill select
    shutdown slaveof slowlog|get slowlog|len spop srandmember ssubscribe subscribe sunsubscribe swapdb sync time
    unsubscribe wait waitaof zrandmember
"""
"""Random or of the moment, refused for what Raft does instead, or more than one reply to a request."""
BUGS = frozenset(("hgetex", "hsetex"))
"""Valkey takes a key with the name FIELDS for the word."""

ROWS = {
    row.name: row
    for top in open_commands()
    for row in (top, *top.subcommands.values())
    if row.open
    and not row.is_container
    and row.name not in TOLD_OTHERWISE.split()
    and not row.name.startswith("cluster")
}
SETTING: list[Request] = [
    ["SET", "s", "hello"],
    ["SET", "n", "10"],
    ["RPUSH", "l", "a", "b", "c", "1", "2"],
    ["HSET", "h", "f", "1", "g", "x"],
    ["SADD", "set", "1", "2", "3"],
    ["ZADD", "z", "1", "a", "2", "b", "3", "c"],
    ["XADD", "st", "1-1", "a", "1"],
    ["XADD", "st", "2-1", "b", "2"],
    ["XGROUP", "CREATE", "st", "g", "0"],
]
KEYS = ["s", "n", "l", "h", "set", "z", "st", "missing"]
VALUES = {
    "key": KEYS,
    "integer": ["0", "1", "2", "3", "-1", "10", "100"],
    "double": ["0", "1", "2.5", "-1", "inf", "1e3"],
    "pattern": ["*", "a*", "?"],
    "unix-time": ["1", "99999999999", "9999999999999"],
    "string": ["a", "b", "f", "g", "c", "1", "x", "1-1", "$", ">", "0", "m", "u8", "hello"],
}
NONSENSE = [
    *["", "x", "-1", "0", "1", "-2", "9999999999999999999", "-9223372036854775808", "9223372036854775808"],
    *[
        "2147483648",
        "1.5",
        "nan",
        "-inf",
        "1e400",
        " 1",
        "0x10",
        "+1",
        "01",
        "-0",
        "(1",
        "(a",
        "[a",
        "-",
        "+",
        "*",
        "$",
    ],
    *[
        "0-0",
        "1-",
        "5-*",
        "a\r\nb",
        "#1",
        "u64",
        "ON",
        "LEFT",
        "NX",
        "COUNT",
        "LIMIT",
        "GET",
        "STORE",
        "FIELDS",
    ],
]
REQUESTS = 15
"""For each command."""
FAR = 1 << 32
"""No string is made this long."""


def drawn(random: Random, arguments: list[Argument] | None) -> list[str]:
    """A request's arguments as they should be."""
    words: list[str] = []
    for argument in arguments or ():
        flags = set(argument.get(b"flags", ()))
        if b"optional" in flags and random.random() < 0.5:
            continue
        for again in range(random.choice([1, 1, 2, 3]) if b"multiple" in flags else 1):
            if b"token" in argument and (not again or b"multiple_token" in flags):
                words.append(argument[b"token"].decode())
            kind = argument[b"type"].decode()
            if kind == "oneof":
                words += drawn(random, [random.choice(argument[b"arguments"])])
            elif kind == "block":
                words += drawn(random, argument[b"arguments"])
            elif kind != "pure-token":
                words.append(random.choice(VALUES[kind]))
    return words


def tokens(arguments: list[Argument] | None) -> Iterator[str]:
    """The words that mean something to the command."""
    for argument in arguments or ():
        if b"token" in argument:
            yield argument[b"token"].decode()
        yield from tokens(argument.get(b"arguments"))


def spoil(random: Random, words: list[str], known: list[str]) -> None:
    """Make one mistake."""
    at = random.randrange(len(words) + 1)
    mistake = random.randrange(5)
    if mistake == 0:
        words[at : at + 1] = [random.choice(NONSENSE)]
    elif mistake == 1:
        del words[at : at + 1]
    elif mistake == 2:
        words.insert(at, random.choice(NONSENSE + 8 * known))
    elif mistake == 3:
        words += words[at:]
    else:
        rest = words[at:]
        random.shuffle(rest)
        words[at:] = rest


def requests_for(row: Command) -> Iterator[Request]:
    """The same ones each time."""
    random = Random(row.name)
    arguments = arguments_of(row.name)
    known = list(tokens(arguments))
    for _ in range(REQUESTS):
        words = drawn(random, arguments)
        for _ in range(random.choice([0, 1, 1, 2, 3])):
            spoil(random, words, known)
        if row.group in ("string", "bitmap") and any(
            word.strip("#+ ").isdigit() and 10_000 < int(word.strip("#+ ")) <= FAR for word in words
        ):
            continue
        if row.name == "xadd" and any("*" in word for word in words):
            continue  # an id of the moment
        yield [*row.name.upper().split("|"), *words]


@pytest.mark.parametrize("name", sorted(ROWS.keys() - BUGS))
def test_a_request_that_is_nearly_right_is_answered_as_by_valkey(
    valkey: Server, standalone: Server, name: str
) -> None:
    row = ROWS[name]
    steps = list(SETTING)
    for request in requests_for(row):
        # In a transaction nobody waits.
        steps += [["MULTI"], request, ["EXEC"]] if row.flags & Flag.BLOCKING else [request]
    theirs, ours = (run(server, name, steps, 2) for server in (valkey, standalone))
    differing = [
        f"{transcript([step])[:300]}\nvalkey:  {str(expected)[:500]}\nredraft: {str(got)[:500]}"
        for step, expected, got in zip(steps, theirs, ours, strict=True)
        if not agree(step, expected, got)
    ]
    assert not differing, "\n".join(differing[:5])
