"""Committed entries on their way into the data stores of their machines: when, and how many at once.

Nobody waits for that. Replies leave when an entry is committed, and a leader sees in memory what is not applied. So it
is put off: a record that is written over and over, such as the head of a list or a count, goes to the store once, and a
piece of work for the apply thread costs something besides its entries. For how long the machine says (`Lag`).

A piece is gathered on the loop, some records in each turn (`StateMachine.begin_apply`), more if that is not enough, and
then written by the apply thread. Gathering is work for the interpreter's lock, of which a thread would take away as
much from the loop, and more for handing the lock to and fro.
"""

import time
from typing import TYPE_CHECKING, Final

from raft.core.messages import Entry
from raft.runtime.machine import Gathering, Lag
from raft.runtime.workers import Completions, Worker

if TYPE_CHECKING:
    from raft.runtime.group import Group


NO_LAG: Final = Lag(0.0, 0)
RECORDS_OF_TURN: Final = 1000
"""Gathered in one turn of the loop: about a millisecond."""
BEHIND_BYTES: Final = 4 << 20
"""More than so much is not applied only when turns make more records than that, which are long turns. Then"""
BYTES_OF_RECORD: Final = 250
"""so many bytes beyond it are worth another record of each turn, so that it stops growing, up to"""
RECORDS_OF_TURN_MAX: Final = 10_000
_NEVER_S: Final = float("inf")


class Backlog:
    """What of a group waits to be applied."""

    __slots__ = ("bytes", "due_s", "since_s")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        """When the first of it was committed, on time.monotonic."""
        self.bytes = 0
        self.due_s = _NEVER_S


class Applying:
    """Of all groups of a host. One piece at a time; everything here is for the loop's thread."""

    def __init__(self, worker: Worker, completions: Completions) -> None:
        """`worker`: the apply thread; `completions`: of the host, so that its next turn comes soon."""
        self._worker = worker
        self._completions = completions
        self._backlogs: dict[Group, Backlog] = {}
        self._size_bytes = 0
        """Of all of them, and of the present piece."""
        self._piece_bytes = 0
        self._due_s = _NEVER_S
        """When the first of them is due."""
        self._to_gather: list[tuple[Group, Gathering]] = []
        """What of the present piece is not gathered yet."""
        self._gathered: list[tuple[Group, Gathering]] = []
        self._writing = False

    def put_off(self, group: "Group", size_bytes: int, lag: Lag) -> None:
        """The group has committed entries of `size_bytes` to apply, and may be as far behind as `lag`."""
        backlog = self._backlogs.get(group)
        if backlog is None:
            backlog = self._backlogs[group] = Backlog(time.monotonic())
        backlog.bytes += size_bytes
        self._size_bytes += size_bytes
        due_s = 0.0 if backlog.bytes >= lag.bytes else backlog.since_s + lag.seconds
        if due_s < backlog.due_s:
            backlog.due_s = due_s
            if due_s < self._due_s:
                self._due_s = due_s

    def hurry(self, group: "Group") -> None:
        """What waits of the group is due."""
        backlog = self._backlogs.get(group)
        if backlog is not None:
            backlog.due_s = self._due_s = 0.0
            self._completions.wake()

    def go_on(self) -> None:
        """Gather some of what is due. For each turn of the host; a tick comes in any case."""
        if self._writing:
            return
        if not self._to_gather:
            if self._due_s == _NEVER_S or time.monotonic() < self._due_s:
                return
            self._begin()
        left = RECORDS_OF_TURN
        if self._size_bytes > BEHIND_BYTES:
            behind_bytes = self._size_bytes - BEHIND_BYTES
            left = min(left + behind_bytes // BYTES_OF_RECORD, RECORDS_OF_TURN_MAX)
        while self._to_gather:
            group, gathering = self._to_gather[-1]
            count = gathering.step(left)
            if count >= left:
                self._completions.wake()
                return
            left -= count
            self._gathered.append((group, gathering))
            self._to_gather.pop()
        if self._gathered:
            self._writing = True
            self._worker.submit(self._write, self._written)
        else:
            self._end_piece()  # its groups had nothing to give: snapshots are installed

    def _begin(self) -> None:
        """Take the entries of the groups that are due."""
        now_s = time.monotonic()
        due = [group for group, backlog in self._backlogs.items() if backlog.due_s <= now_s]
        for group in due:
            self._piece_bytes += self._backlogs.pop(group).bytes
            entries: list[Entry] = group.take_to_apply()
            if entries:
                self._to_gather.append((group, group.machine.begin_apply(entries)))
        self._due_s = min([backlog.due_s for backlog in self._backlogs.values()], default=_NEVER_S)

    def _end_piece(self) -> None:
        self._size_bytes -= self._piece_bytes
        self._piece_bytes = 0

    def _write(self) -> None:
        """APPLY thread."""
        for _group, gathering in self._gathered:
            gathering.write()

    def _written(self, _result: None) -> None:
        gathered, self._gathered = self._gathered, []
        self._writing = False
        self._end_piece()
        for group, _gathering in gathered:
            group.applied_upto()
