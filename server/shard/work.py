"""Commands that take long: what is at work in a shard, and what becomes of it.

A command that is not done within a slice (keyspace/breath.py) makes its shard *busy*. The shard is not `ready`
then, so whatever comes for the group waits in its route, in order, reads too: the state is in the midst of a command.
Other groups, heartbeats and ticks go on; the workbench (workbench.py) gives the shards that are at work a slice each
time the loop comes round. Nothing of the command is proposed before it is done, and then all of its effects are one
entry.

What a busy shard sees stands still: it proposes nothing, and its overlay forgets nothing though entries are applied
below it. If the leadership is lost, or the node shuts down, the work is ended, and there is nothing to take back but
memory; its client is told that the command was not applied.

A script that is at work for longer than `busy-reply-threshold` makes those that wait, and all that come, get BUSY;
SCRIPT KILL ends it if it has called no command that writes. For another long command they just wait, as in Redis.
"""

from collections.abc import Callable
from time import perf_counter
from typing import NoReturn, Protocol

import trio

from resp import OK, Error, encode, set_pace
from server.commands.scripting import NOT_BUSY
from server.commands.table import Command
from server.errors import not_applied
from server.keyspace.breath import Ended, Work, paced
from server.keyspace.notes import ScriptNotes
from server.keyspace.view import View
from server.shard.call import Call

set_pace(paced)

_OWN_SHARE_MIN = 0.1
"""Of the time after which a script is BUSY, what it has to have spent running."""
BUSY = b"BUSY Valkey is busy running a script. You can only call %b KILL or SHUTDOWN NOSAVE."
UNKILLABLE = (
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. "
    b"You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
INTERRUPTED = not_applied(b"The leader of the shard group changed while the command was running").text
KILLED = not_applied(b"The client was killed while the command was running").text


async def in_slices(run: Callable[[], bytes]) -> bytes:
    """What `run` returns, while the loop goes on. Raises what it raises. When cancelled, `run` ends where it is."""
    work = Work(run)
    try:
        while not work.go_on():
            await trio.lowlevel.checkpoint()
    except trio.Cancelled:
        work.end()
        raise
    return work.result()


class Unfinished(Exception):
    """The command is not done within its first slice: its call is to be given to `Shard.adopt`."""


class Job(Work):
    """A command at work in a shard."""

    __slots__ = ("call", "function", "notes", "script", "view")

    def __init__(self, run: Callable[[], bytes], command: Command | None) -> None:
        """`command`: None for a transaction."""
        super().__init__(run)
        self.call: Call | None = None
        """Whose reply it will be; None until it is known to take long."""
        self.script = command is not None and command.group == "scripting"
        """It is EVAL or of its kin."""
        self.function = self.script and command is not None and command.name.startswith("_runfunction")
        """It is FCALL."""
        self.notes: ScriptNotes | None = None
        """Where it notes what it does."""
        self.view: View | None = None
        """What it works on."""

    def busy_text(self) -> bytes:
        """What those are told that do not want to wait."""
        return BUSY % (b"FUNCTION" if self.function else b"SCRIPT")

    def resume(self, call: Call) -> bool:
        """Another slice, on behalf of `call`; whether it is done."""
        view = self.view
        assert view is not None
        view.origin, view.script_notes = call.origin, self.notes
        try:
            if not self.go_on():
                return False
        finally:
            view.origin, view.script_notes = b"", None
        if self.notes is not None:
            self.notes.then()
        return True

    @property
    def age_s(self) -> float:
        """Since it began."""
        return perf_counter() - self.began_s


class Leader(Protocol):
    """What a worker needs of the shard that leads."""

    @property
    def work(self) -> Job | None:
        """The command that is being evaluated and takes long."""

    def begin_work(self, job: Job) -> bool:
        """From now on `work` is `job`, unless Raft takes nothing more; whether it is."""

    def leave_work(self) -> None:
        """It is done."""

    def drop_work(self) -> None:
        """It did not happen."""

    def finish(self, call: Call, reply: bytes) -> None:
        """Answer the call whose work is done."""

    def do_again(self, calls: list[Call]) -> None:
        """They were not done."""

    def refresh(self) -> None:
        """The shard may be ready now."""


class Worker:
    """The part of a shard that does what takes long."""

    def __init__(self, shard: Leader, on_done: Callable[[Call, float], None]) -> None:
        """`on_done`: some work was done, and took so many seconds."""
        self.busy_after_s = 0.0
        """Scripts that take longer are BUSY; 0: none is."""
        self._shard = shard
        self._on_done = on_done

    def start(self, run: Callable[[], bytes], command: Command | None) -> NoReturn:
        """Do in slices what was attempted and takes long; `command`: None for a transaction. Raises Unfinished."""
        self._shard.begin_work(Job(run, command))
        raise Unfinished from None

    def adopt(self, call: Call) -> None:
        """`call` is the one that was not done within its slice."""
        work = self._shard.work
        if work is None:
            self._shard.do_again([call])  # Raft did not take what came before it
        else:
            work.call = call

    def go_on(self) -> None:
        """Give the work another slice, in a turn of its own."""
        work = self._shard.work
        assert work is not None
        call = work.call
        assert call is not None
        if not work.resume(call):
            return
        self._on_done(call, work.age_s)
        try:
            reply = work.result()
        except Ended:
            self.end(INTERRUPTED)
        else:
            self._shard.leave_work()
            self._shard.finish(call, reply)
        self._shard.refresh()

    def end(self, text: bytes) -> None:
        """Whatever is at work did not happen, and is answered with the error `text`."""
        work = self._shard.work
        if work is None:
            return
        work.end()
        self._shard.drop_work()
        if work.call is not None:
            work.call.slot.fill(encode(Error(text), work.call.protocol))

    def kill_script(self, *, function: bool) -> bytes | None:
        """End the script that is at work; the text of an error when there is none, or it has written."""
        work = self._shard.work
        if work is None or not work.script:
            return NOT_BUSY
        if work.wrote:
            return UNKILLABLE
        if work.function != function:
            return work.busy_text()
        work.killed = "FUNCTION" if function else "SCRIPT"
        return None

    def interrupt(self, call: Call) -> None:
        """Do a call that is for the work, and not for the data: `_scriptkill`."""
        error = self.kill_script(function=call.args[1] == b"function")
        call.slot.fill(encode(OK if error is None else Error(error), call.protocol))

    def kill_client(self, call: Call) -> None:
        """The client of `call` was killed: if that is at work it did not happen."""
        work = self._shard.work
        if work is not None and work.call is call:
            self.end(KILLED)
            self._shard.refresh()

    @property
    def busy(self) -> bytes | None:
        """What those are told that do not want to wait for the script that is at work; None: they wait. A script that
        has hardly run, since the machine had no time for this node, is not what they wait for."""
        work, limit_s = self._shard.work, self.busy_after_s
        if work is None or not work.script or not 0 < limit_s < work.age_s:
            return None
        return work.busy_text() if work.worked_s > limit_s * _OWN_SHARE_MIN else None
