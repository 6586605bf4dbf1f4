"""Commands that take long: who of the shards is at work, and the slices that they get.

A command that is not done within a slice (keyspace/breath.py) makes its shard *busy*. The shard is not `ready`
then, so whatever comes for the group waits in its route, in order, reads too: the state is in the midst of a command.
Other groups, heartbeats and ticks go on; `Workbench` gives the shards that are at work a slice each time the loop comes
round. Nothing of the command is proposed before it is done, and then all of its effects are one entry.

What a busy shard sees stands still: it proposes nothing, and its overlay forgets nothing though entries are applied
below it. If the leadership is lost, or the node shuts down, the work is ended, and there is nothing to take back but
memory; its client is told that the command was not applied.

A script that is at work for longer than `busy-reply-threshold` makes those that wait, and all that come, get BUSY;
SCRIPT KILL ends it if it has called no command that writes. For another long command they just wait, as in Redis.
"""

import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import trio

from resp import OK, Error, encode, set_pace
from server.commands.scripting import NOT_BUSY
from server.commands.table import Command
from server.errors import not_applied
from server.keyspace.breath import Ended, Work, breathe, paced
from server.keyspace.meta import Meta
from server.keyspace.view import ScriptReads, View
from server.shard.call import Call
from server.shard.clock import TurnClock
from server.shard.overlay import Overlay
from server.shard.waiters import Waiters

if TYPE_CHECKING:
    from raft.runtime.group import Group
    from server.shard.shard import Shard

log = logging.getLogger("redraft.shard")

set_pace(paced)

notice_period_s = 0.5
BUSY = b"BUSY Valkey is busy running a script. You can only call %b KILL or SHUTDOWN NOSAVE."
UNKILLABLE = (
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. "
    b"You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
INTERRUPTED = not_applied(b"The leader of the shard group changed while the command was running").text
KILLED = not_applied(b"The client was killed while the command was running").text


class Unfinished(Exception):
    """The command is not done within its first slice: its call is to be given to `Shard.adopt`."""


class Job(Work):
    """A command at work in a shard."""

    __slots__ = ("call", "function", "reads", "script")

    def __init__(self, run: Callable[[], bytes], command: Command | None) -> None:
        """`command`: None for a transaction."""
        super().__init__(run)
        self.call: Call | None = None
        """Whose reply it will be; None until it is known to take long."""
        self.script = command is not None and command.group == "scripting"
        """It is EVAL or of its kin."""
        self.function = self.script and command is not None and command.name.startswith("_runfunction")
        """It is FCALL."""
        self.reads: ScriptReads | None = None
        """Where it notes what it reads."""

    def busy_text(self) -> bytes:
        """What those are told that do not want to wait."""
        return BUSY % (b"FUNCTION" if self.function else b"SCRIPT")

    @property
    def age_s(self) -> float:
        """Since it began."""
        return perf_counter() - self.began_s


class Worker:
    """The part of Shard that knows of work."""

    number: int
    ready: bool
    group: "Group"
    waiters: Waiters
    _base: Overlay
    _meta: Meta
    _meta_proposed: bytes
    _view: View
    _clock: TurnClock
    _turn: int
    _next_index: int
    _operations: list[bytes | None]
    _operations_bytes: int
    _on_change: Callable[[Any], None]
    _on_dirty: Callable[[Any], None]
    _on_work: Callable[[Any], None]
    _on_work_done: Callable[[Call, float], None]

    def __init__(self) -> None:
        self.work: Job | None = None
        """The command that is being evaluated and takes long."""
        self.busy_after_s = 0.0
        """Scripts that take longer are BUSY; 0: none is."""
        self.applied_meanwhile = 0
        """The index up to which was applied while there was work."""

    def refresh(self) -> None:
        """See Shard, as for all in here that raises this."""
        raise NotImplementedError

    def _propose(self) -> None:
        raise NotImplementedError

    def _begin_turn(self) -> None:
        raise NotImplementedError

    def _make_view(self) -> View:
        raise NotImplementedError

    def _serve(self) -> None:
        raise NotImplementedError

    def _answer(self, call: Call, reply: bytes) -> None:
        raise NotImplementedError

    def _do_again(self, calls: list[Call]) -> None:
        raise NotImplementedError

    def _start_work(self, run: Callable[[], bytes], command: Command | None) -> NoReturn:
        """Do in slices what was attempted and takes long; `command`: None for a transaction. Raises Unfinished."""
        self._view.abandon()
        if self._operations:  # what came before it need not wait for it
            self._propose()
            if not self.ready:
                raise Unfinished from None
        self.work = Job(run, command)
        self.work.reads = self._view.script_reads
        self.ready = False
        self._on_change(self)
        self._on_work(self)
        raise Unfinished from None

    def adopt(self, call: Call) -> None:
        """`call` is the one that was not done within its slice."""
        if self.work is None:
            self._do_again([call])  # Raft did not take what came before it
        else:
            self.work.call = call

    def go_on(self) -> None:
        """Give the work another slice, in a turn of its own."""
        work = self.work
        assert work is not None
        call = work.call
        assert call is not None
        view = self._view
        view.origin, view.script_reads = call.origin, work.reads
        try:
            if not work.go_on():
                return
        finally:
            view.origin, view.script_reads = b"", None
        if work.reads is not None and work.reads.then is not None:
            work.reads.then()
        self._on_work_done(call, work.age_s)
        try:
            reply = work.result()
        except Ended:
            self.end_work(INTERRUPTED)
        else:
            self._leave_work()
            if self._turn != self._clock.turn:
                self._begin_turn()
            if self.waiters.woken:
                self._serve()
            self._answer(call, reply)
        self.refresh()

    def _leave_work(self) -> None:
        self.work = None
        if self.applied_meanwhile:
            self._base.applied(self.applied_meanwhile)
            self.applied_meanwhile = 0

    def end_work(self, text: bytes) -> None:
        """Whatever is at work did not happen, and is answered with the error `text`."""
        work = self.work
        if work is None:
            return
        work.end()
        self._leave_work()
        self._operations = []
        self._operations_bytes = 0
        self._base.forget()
        self._meta = Meta.decode(self._meta_proposed)
        self._view = self._make_view()
        self._turn = 0
        if work.call is not None:
            work.call.slot.fill(encode(Error(text), work.call.protocol))

    def kill_script(self, *, function: bool) -> bytes | None:
        """End the script that is at work; the text of an error when there is none, or it has written."""
        work = self.work
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
        if self.work is not None and self.work.call is call:
            self.end_work(KILLED)
            self.refresh()

    @property
    def busy(self) -> bytes | None:
        """What those are told that do not want to wait for the script that is at work; None: they wait."""
        work = self.work
        if work is None or not work.script or not 0 < self.busy_after_s < work.age_s:
            return None
        return work.busy_text()

    def _catch_up(self) -> None:
        """Within work: it may have gone on for turns, what it wrote goes into the entry that comes next."""
        view = self._view
        while self._turn != self._clock.turn:
            revision = view.revision
            self._begin_turn()
            index = view.revision + 1
            view.revision = revision
            if index != revision:
                view.restamp(index)

    def _collect_in_slices(self) -> None:
        """As `_collect`, within work. Nothing is proposed meanwhile."""
        self._catch_up()
        effects = self._view.take_effects()
        operations: list[bytes | None] = []
        size = 0
        index = self._next_index
        pending = self._base.pending
        for key, value in effects.items():
            breathe()
            operations += (key, value)
            pending[key] = (index, value)
            size += len(key) + (len(value) if value is not None else 0) + 10
        if self._turn != self._clock.turn:
            if self.group.last_index + 1 != index:
                log.info("Group %d: another entry came before that of a long command", self.number)
                raise Ended
            self._turn = self._clock.turn
        self._operations += operations
        self._operations_bytes += size
        self._on_dirty(self)
        if self.waiters:
            self.waiters.note(effects, self._meta.databases)


class Workbench:
    """The shards of a node that are at work."""

    def __init__(self) -> None:
        self._shards: deque[Shard] = deque()
        self._some = trio.Event()
        self._notice_at_s = 0.0

    def add(self, shard: "Shard") -> None:
        """It is at work from now on."""
        self._shards.append(shard)
        self._some.set()

    def __len__(self) -> int:
        return len(self._shards)

    def due_notices(self) -> list[int]:
        """Now and then: the groups at work, for nodes that wait for them to hear of."""
        now_s = perf_counter()
        if now_s < self._notice_at_s:
            return []
        self._notice_at_s = now_s + notice_period_s
        return [shard.number for shard in self._shards]

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
