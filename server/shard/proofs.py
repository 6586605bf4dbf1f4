"""Reads that wait for the proof that we led when they were evaluated: one read-index round for all of a turn."""

from typing import TYPE_CHECKING

from raft.core.errors import NotLeader
from server.shard.call import Call

if TYPE_CHECKING:
    from raft.runtime.group import Group


class Proofs:
    """Those of one group that is led here. Empty unless it is."""

    def __init__(self) -> None:
        self._turn: list[Call] = []
        """Of this turn."""
        self._asked: dict[int, list[Call]] = {}
        """Read-index context to the calls that wait for it."""

    def add(self, call: Call) -> None:
        """`call` was evaluated in this turn; the turn's `ask` is to come."""
        self._turn.append(call)

    def ask(self, group: "Group") -> list[Call]:
        """The turn ends: ask for the proof. Those for which there will be none."""
        reads, self._turn = self._turn, []
        if reads:
            try:
                self._asked[group.read_index()] = reads
            except NotLeader:
                return reads
        return []

    def take(self, context: int) -> list[Call]:
        """The calls for which the proof of `context` was asked, which has come, or never will."""
        return self._asked.pop(context, [])

    def take_those_that_saw(self, index: int) -> list[Call]:
        """Calls of this turn that saw what was to be at `index`, and is not."""
        saw_it = [call for call in self._turn if call.gate == index]
        self._turn = [call for call in self._turn if call.gate != index]
        return saw_it

    def take_all(self) -> list[tuple[int, Call]]:
        """(index whose commit proves as much, call); we lead no more."""
        found = [(call.proof, call) for calls in (*self._asked.values(), self._turn) for call in calls]
        self._turn = []
        self._asked = {}
        return found
