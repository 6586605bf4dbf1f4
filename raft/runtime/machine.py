"""What a group's state machine must offer to the host.

Which thread calls what:
- LOOP: applied, committed, role_changed, reads_confirmed, reads_lost. They must not block; they may propose.
- LOOP: lag, begin_apply and the steps of what it returns. They must not block.
- APPLY thread: Gathering.write, one at a time for all groups of the host.
- BULK thread: snapshot_*, one call at a time for all groups. snapshot_read, _begin and _write may run while entries of
  the same group are applied. snapshot_install never does: the host holds applying until it is done.

Entries below what the data store holds may be applied again after a restart (see host.py), so effects must be absolute
(put this, delete that), and the stored applied index must never be lowered by such a repetition.
"""

from typing import NamedTuple, Protocol

from raft.core.messages import Entry, SnapshotMeta


class Lag(NamedTuple):
    """How far what is applied may stay behind what is committed."""

    seconds: float
    bytes: int
    """Of entries, besides those of the piece that is being applied."""


class Gathering(Protocol):
    """What some entries say, on its way into the data store. An exception stops the host."""

    def step(self, records_max: int) -> int:
        """LOOP. Gather about so many more records (at least 1). Returns how many it were: fewer when that was all."""

    def write(self) -> None:
        """APPLY. Write all that was gathered in one atomic batch, unsynced."""


class StateMachine(Protocol):
    """One group's data. An exception from any method stops the host."""

    @property
    def applied_index(self) -> int:
        """The applied index that the data store holds. Read once, at start; 0 for an empty one."""

    @property
    def lag(self) -> Lag:
        """LOOP. For how long entries that were just committed may wait."""

    def begin_apply(self, entries: list[Entry]) -> Gathering:
        """LOOP. The effects of these entries and the last one's index are to be written. There is one Gathering of a
        group at a time, and nothing is installed meanwhile.

        A NORMAL entry's data may be b"" (a leader's no-op); CONF_CHANGE entries are the host's business and are
        passed only so that the applied index is right.
        """

    def applied(self, index: int) -> None:
        """LOOP. Everything up to `index` is applied."""

    def committed(self, index: int) -> None:
        """LOOP. Everything up to `index` is committed and stable here: replies up to it may be released."""

    def role_changed(self, role: int, term: int, leader: int) -> None:
        """LOOP. Always called before anything that follows from the change; a new term alone counts as one."""

    def reads_confirmed(self, context: int) -> None:
        """LOOP. We still led when read_index gave `context`: it and all lower ones are answered."""

    def reads_lost(self, context: int) -> None:
        """LOOP. `context` will never be confirmed."""

    def snapshot_read(self, cursor: bytes, bytes_max: int) -> tuple[bytes, bytes | None]:
        """BULK. The data from `cursor` (b"": the beginning), about bytes_max of it, and the next cursor (None: end).

        Other entries may be applied between two calls: see snapshots.py for why that is right.
        """

    def snapshot_begin(self, token: bytes) -> bytes:
        """BULK. A snapshot of this name will come. Returns the cursor after what of it is staged already, b"" for
        none. What is staged of another token is dropped."""

    def snapshot_write(self, token: bytes, chunk: bytes, next_cursor: bytes | None) -> None:
        """BULK. Stage a chunk, together with the cursor after it (None: that was the last one)."""

    def snapshot_install(self, meta: SnapshotMeta, consistent_index: int) -> None:
        """BULK. Make the staged data the data, with applied index meta.index; durable when it returns.

        Atomic for a crash: either the old applied index and the old data, or the new ones. The state need not be
        one that ever existed until consistent_index is applied.
        """
