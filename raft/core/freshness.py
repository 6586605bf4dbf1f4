"""How old what a replica has applied can be: for reads that need not be the newest.

A heartbeat names all that its leader has committed. Once that is applied here, what is applied is no older than the
heartbeat, however long the applying took. So it is not enough to hear from a leader: entries may come in late, or wait
for the disk or to be applied, while heartbeats arrive. Times are on our own clock, which counts pauses and suspend; a
tick that came late would not tell how late it was.
"""


class Freshness:
    """Of one replica."""

    __slots__ = ("_heard_us", "_index", "as_of_us")

    def __init__(self) -> None:
        self.as_of_us = 0
        """What is applied lacks nothing that was committed then; 0: nothing is known."""
        self._index = 0
        self._heard_us = 0
        """When a leader named `_index`, which is not applied; 0: there is no such."""

    def heard(self, commit: int, applied: int, now_us: int) -> None:
        """A leader says what it has committed."""
        self.applied(applied)
        if not self._heard_us:  # else what was heard first is applied first
            self._index, self._heard_us = commit, now_us
            self.applied(applied)

    def applied(self, index: int) -> None:
        """Everything up to `index` is applied."""
        if self._heard_us and index >= self._index:
            self.as_of_us, self._heard_us = self._heard_us, 0
