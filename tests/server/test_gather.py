"""One command over several groups: what its client is told when not all of them could do their part."""

import pytest

from resp import Error, encode
from server.commands import all as all_commands
from server.commands.table import lookup
from server.errors import CLUSTERDOWN, OUTCOME_UNKNOWN, PARTLY_APPLIED, not_applied
from server.shard.call import Later
from server.shard.gather import Gather

assert all_commands.loaded

DOWN, UNKNOWN, AGAIN = CLUSTERDOWN, OUTCOME_UNKNOWN, not_applied(b"The leader changed").text


def whole(name: bytes, *parts: int | bytes) -> bytes:
    """What comes of these replies of the parts; an error by its text."""
    row = lookup([name, b"k"])
    assert row is not None
    replies: list[bytes] = []
    gather = Gather(row, None, len(parts), 2, Later(replies.append))
    for number, part in enumerate(parts):
        assert not replies
        gather.part(number).fill(encode(Error(part) if isinstance(part, bytes) else part, 2))
    [reply] = replies
    return reply


def test_the_parts_of_a_count_are_added() -> None:
    assert whole(b"del", 1, 2, 3) == b":6\r\n"


@pytest.mark.parametrize("parts", [(DOWN, 1), (0, AGAIN), (1, UNKNOWN, DOWN), (DOWN, DOWN, 2)])
def test_a_write_of_which_a_part_was_done_is_not_said_to_be_refused(parts: tuple[int | bytes, ...]) -> None:
    assert whole(b"del", *parts) == b"-" + PARTLY_APPLIED + b"\r\n"


def test_a_write_of_which_no_part_was_done_is_refused() -> None:
    assert whole(b"unlink", DOWN, AGAIN) == b"-" + DOWN + b"\r\n"


def test_a_write_of_which_a_part_may_have_been_done_is_unknown() -> None:
    assert whole(b"flushall", DOWN, UNKNOWN) == b"-" + UNKNOWN + b"\r\n"


def test_of_a_read_the_first_error_is_told() -> None:
    assert whole(b"exists", 1, DOWN, AGAIN) == b"-" + DOWN + b"\r\n"
