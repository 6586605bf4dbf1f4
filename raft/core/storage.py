"""What the core reads of the durable log. The core never writes: it says in Ready what must be written.

A LogReader answers at once, from memory or nearly so; the core calls it in the middle of a turn. It shows
what was given to it by `Ready` whose `advance` was called or is about to be; entries that the core has
replaced meanwhile may still be there, the core looks past them.
"""

from typing import Protocol

from raft.core.messages import Entry, SnapshotMeta


class Compacted(Exception):
    """The index was compacted away: only a snapshot holds it now."""


class Unavailable(Exception):
    """The index is beyond the end of the log."""


class SnapshotUnavailable(Exception):
    """No snapshot can be sent at this moment; ask again later."""


class LogReader(Protocol):
    """The durable log of one group as the core sees it. Indexes start at 1; an empty log has last_index 0."""

    @property
    def first_index(self) -> int:
        """Last compacted index + 1."""

    @property
    def last_index(self) -> int:
        """Index of the last entry; first_index - 1 if there is none."""

    def term(self, index: int) -> int:
        """Return the term of the entry at `index`, in [first_index - 1, last_index] (0 at index 0).

        Raises Compacted below that range and Unavailable above it.
        """

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """Return the entries in [low, high), cut where their payload passes `bytes_max`, but at least one.

        Raises Compacted if low < first_index and Unavailable if high > last_index + 1.
        """

    def snapshot_meta(self) -> SnapshotMeta | None:
        """Return the newest state that may be sent to a follower, or None if there is none.

        Its index is at least first_index - 1. Raises SnapshotUnavailable when temporarily not to be had.
        """
