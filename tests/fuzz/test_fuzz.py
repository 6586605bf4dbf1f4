"""Whatever is asked: no handler fails, every call is answered once, replies are RESP, replicas agree.

The seeds are the same each time, so that a failure is one of what has changed. REDRAFT_FUZZ_SEED=N runs another one,
and `python -m tests.fuzz` many.
"""

import os
from pathlib import Path

import pytest

from server.commands.table import every_command
from tests.fuzz.machine import Fuzz
from tests.fuzz.reply import Malformed, read_reply
from tests.fuzz.requests import LEFT_OUT, RARE, Maker

rounds = 3
commands = 4000
seeds = [int(os.environ["REDRAFT_FUZZ_SEED"])] if "REDRAFT_FUZZ_SEED" in os.environ else [*range(rounds)]


@pytest.mark.parametrize("number", range(len(seeds)))
def test_a_group_of_replicas_stands_random_requests(number: int, tmp_path: Path) -> None:
    fuzz = Fuzz(tmp_path, seeds[number])
    try:
        fuzz.run(commands)
    finally:
        fuzz.close()


def test_every_command_is_asked_for_but_those_that_are_left_out() -> None:
    maker = Maker(1, where=lambda row: True)
    asked = {request[0] for request in (maker.request() for _ in range(60_000))}
    known = {
        row.name.partition("|")[0].encode()
        for row in every_command()
        if row.open and row.name not in LEFT_OUT
    }
    assert not known - asked - {name.encode() for name in RARE}


def test_a_seed_gives_the_same_requests_again() -> None:
    first, second = (Maker(7, where=lambda row: True) for _ in range(2))
    assert [first.request() for _ in range(500)] == [second.request() for _ in range(500)]


@pytest.mark.parametrize(
    "reply", [b"+OK", b"$3\r\nab\r\n", b"*2\r\n:1\r\n", b":1\r\n:2\r\n", b"_\r\n", b"+a\nb\r\n", b"?x\r\n"]
)
def test_what_is_no_reply_is_noticed(reply: bytes) -> None:
    with pytest.raises(Malformed):
        read_reply(reply, 2)
