"""Calls whose leader was deposed before their reply could go out, and what becomes of them.

As the log goes on, either the index that a call waits for commits with our term, and its reply goes out; or another
term stands there, what it wrote never will be, and the call is done again; or neither shows in time, and the client is
told that the outcome is unknown.

Reads are orphans as the writes are: done again, a read would see a write that its client has sent after it. What a read
saw is true when the index that it waited for commits with our term (its leadership was proven by the lease when it was
evaluated), or, where it lacked a proof, when the next entry does (`Call.proof`): no other leader can have come between.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from resp import Error, encode
from server.errors import CLUSTERDOWN, OUTCOME_UNKNOWN
from server.keyspace.events import Event
from server.shard.call import Call

if TYPE_CHECKING:
    from raft.runtime.group import Group


class Orphans:
    """Those of one group on one node."""

    def __init__(self) -> None:
        self._calls: list[tuple[int, Call]] = []
        """(index, call): what decides about it."""
        self._events: deque[tuple[int, list[Event]]] = deque()
        """(index, keyspace events) that happen if the index commits with our term, in index order."""
        self._term = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def writes(self) -> int:
        """How many of them have written something."""
        return sum(call.wrote for _, call in self._calls)

    def add(
        self, term: int, calls: Iterable[tuple[int, Call]], events: deque[tuple[int, list[Event]]]
    ) -> None:
        """The leadership of `term` was lost: these calls and events are its orphans."""
        self._term = term
        self._calls += calls
        self._events = events

    def settle(self, group: "Group", *, final: bool) -> list[Call]:
        """Answer those whose fate the log shows, and return those that are to be done again. `final`: what is not
        committed by now never will be."""
        commit = group.commit
        final = final or (group.term_at(commit) or 0) > self._term
        waiting, again = [], []
        for index, call in self._calls:
            if index > commit and not final:
                waiting.append((index, call))
                continue
            term = group.term_at(index) if index <= commit else 0
            if term is None and call.wrote:
                _answer_unknown(call)
            elif term == self._term:
                call.slot.fill(call.reply)
            else:
                again.append(call)
        if not any(call.wrote for _, call in waiting):
            again += [call for _, call in waiting]  # reads among themselves have nothing to wait for
            waiting = []
        self._calls = waiting
        return again

    def take_events(self, group: "Group") -> list[Event]:
        """Events that did happen after all; those that did not are forgotten."""
        events = self._events
        happened: list[Event] = []
        while events and events[0][0] <= group.commit:
            index, each = events.popleft()
            if group.term_at(index) == self._term:
                happened += each
        return happened

    def give_up(self) -> None:
        """Their time is over: the outcome of what they wrote is unknown."""
        for _, call in self._calls:
            _answer_unknown(call)
        self._calls = []


def _answer_unknown(call: Call) -> None:
    text = OUTCOME_UNKNOWN if call.wrote else CLUSTERDOWN
    call.slot.fill(encode(Error(text), call.protocol))
