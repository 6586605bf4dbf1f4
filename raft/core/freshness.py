"""How old what a replica has applied can be: for reads that need not be the newest.

A replica's answer to a heartbeat carries the time by its own clock. The next heartbeat brings that back, and names all
that its leader has committed: once that is applied here, what is applied lacks nothing that was committed at that time,
however long messages were under way, processes stood still, or the applying took. It holds if nobody else led before
the leader had the answer, so a leader without a lease brings nothing back.

So it is not enough to hear from a leader: heartbeats may have waited in a socket, and entries come in late, or wait for
the disk or to be applied. Times are on our own clock, which counts pauses and suspend; a tick that came late would not
tell how late it was.
"""


class Freshness:
    """Of one replica."""

    __slots__ = ("_asked_us", "_index", "_origin", "as_of_us")

    def __init__(self, origin: int) -> None:
        """`origin`: a large random number, so that nothing is taken for our time that another process, or boot, of this
        node has sent."""
        self.as_of_us = 0
        """What is applied lacks nothing that was committed then; 0: nothing is known."""
        self._origin = origin
        self._index = 0
        self._asked_us = 0
        """The time that came back with `_index`, which is not applied; 0: there is no such."""

    def stamp(self, now_us: int) -> int:
        """The time, for an answer to carry."""
        return self._origin + now_us

    def heard(self, commit: int, applied: int, stamp: int, now_us: int) -> None:
        """A leader says what it has committed, some time after it was sent `stamp`."""
        self.applied(applied)
        asked_us = stamp - self._origin
        if 0 < asked_us <= now_us and not self._asked_us:  # else what was heard first is applied first
            self._index, self._asked_us = commit, asked_us
            self.applied(applied)

    def applied(self, index: int) -> None:
        """Everything up to `index` is applied."""
        if self._asked_us and index >= self._index:
            self.as_of_us, self._asked_us = self._asked_us, 0
