"""Commands that take long: who of the shards is at work, and the slices that they get.

A command that is not done within its first slice (keyspace/breath.py) makes its shard *busy*. The shard is not `ready`
then, so whatever comes for the group waits in its route, in order, reads too: the state is in the midst of a command.
Other groups, heartbeats and ticks go on; `Workbench` gives the shards that are at work a slice each time the loop comes
round. Nothing of the command is proposed before it is done, and then all of its effects are one entry.

What a busy shard sees stands still: it proposes nothing, and its overlay forgets nothing though entries are applied
below it. If the leadership is lost, or the node shuts down, the work is ended, and there is nothing to take back but
memory; its client is told that the command was not applied.

A script that is at work for longer than `busy-reply-threshold` makes those that wait, and all that come, get BUSY;
SCRIPT KILL ends it if it has called no command that writes. For another long command they just wait, as in Redis.
"""

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING

import trio

from server.commands.table import Args, Command, Weight
from server.errors import not_applied
from server.keyspace.breath import Work
from server.keyspace.view import View

if TYPE_CHECKING:
    from server.shard.call import Call
    from server.shard.shard import Shard

arguments_max = 100
"""A command with fewer, each of them quickly done, takes no longer than a slice."""
effects_max = 1000
"""More of one command are taken into its entry in slices."""
BUSY = b"BUSY Valkey is busy running a script. You can only call %b KILL or SHUTDOWN NOSAVE."
UNKILLABLE = (
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. "
    b"You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
INTERRUPTED = not_applied(b"The leader of the shard group changed while the command was running").text
KILLED = not_applied(b"The client was killed while the command was running").text


class Unfinished(Exception):
    """The command is not done within its first slice: its call is to be given to `Shard.adopt`."""


def may_be_long(command: Command, args: Args, view: View) -> bool:
    """Whether a command that is not LIGHT may take long with these arguments."""
    weight = command.weight
    return (
        weight == Weight.HEAVY
        or len(args) > arguments_max
        or (weight == Weight.KEY and not view.is_small(args[1]))
    )


class Job(Work):
    """A command at work in a shard."""

    __slots__ = ("call", "function", "meta", "script")

    call: "Call | None"
    """Whose reply it will be; None until it is known to take long."""
    script: bool
    """It is EVAL or of its kin."""
    function: bool
    """It is FCALL."""
    meta: bytes
    """The group's Meta before it began."""

    def busy_text(self) -> bytes:
        """What those are told that do not want to wait."""
        return BUSY % (b"FUNCTION" if self.function else b"SCRIPT")

    @property
    def age_s(self) -> float:
        """Since it began."""
        return perf_counter() - self.began_s


class Workbench:
    """The shards of a node that are at work."""

    def __init__(self) -> None:
        self._shards: deque[Shard] = deque()
        self._some = trio.Event()

    def add(self, shard: "Shard") -> None:
        """It is at work from now on."""
        self._shards.append(shard)
        self._some.set()

    def __len__(self) -> int:
        return len(self._shards)

    async def wait(self) -> None:
        """Return when there is work. Nothing happens when it is cancelled."""
        await self._some.wait()

    def go_on(self) -> bool:
        """Give one shard its slice; whether there is more to do."""
        while self._shards:
            shard = self._shards.popleft()
            if shard.work is not None:
                shard.go_on()
                if shard.work is not None:
                    self._shards.append(shard)
                break
        if not self._shards:
            self._some = trio.Event()
        return bool(self._shards)
