"""What a client is told when a command's handler raised, and when it has written too much."""

import logging

from resp import Error, encode
from server.commands.table import Command
from server.errors import INTERNAL, TOO_MUCH_WRITTEN, CommandError
from server.keyspace.breath import Elsewhere
from server.shard.call import Call
from server.telemetry.stats import Stats

log = logging.getLogger("redraft.shard")

WANDERS = b"@%d"
"""Not for clients, and no reply of RESP, so that no script can say it: it is for the group of this slot, see
dispatch/wandering.py."""


def failure(
    command: Command, error: BaseException, protocol: int, stats: Stats, *, counted: bool = True
) -> bytes:
    """The reply, encoded; what is not for clients goes to our log. Nothing that the command wrote may stay. `counted`:
    the call is counted here."""
    if isinstance(error, Elsewhere):
        return WANDERS % error.slot
    command.failed_calls += counted
    if isinstance(error, CommandError):
        return encode(Error(error.text), protocol)
    log.error(
        "The command %s failed; its client was told so and nothing was written",
        command.name,
        exc_info=error,
    )
    stats.unexpected_errors += 1
    return encode(Error(INTERNAL), protocol)


def refuse_the_last(calls: list[Call] | None) -> None:
    """An entry is too large to be one. As it is closed by the command that makes it large, that is to blame: the last
    of its calls, which are in order. Those before it stay, to be done again."""
    if calls:
        call = calls.pop()
        call.slot.fill(encode(Error(TOO_MUCH_WRITTEN), call.protocol))
