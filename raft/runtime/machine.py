"""What a group's state machine must offer to the host.

Which thread calls what:
- LOOP: applied, committed, role_changed, reads_confirmed, reads_lost. They must not block; they may propose.
- LOOP, or the APPLY thread if there is much to apply: begin_apply. It must not block.
- APPLY thread: what begin_apply has returned, one at a time for all groups of the host, in the order of the calls.
- BULK thread: snapshot_*, one call at a time for all groups. snapshot_read, _begin and _write may run while entries of
  the same group are applied. snapshot_install never does: the host holds applying until it is done.

Entries below what the data store holds may be applied again after a restart (see host.py), so effects must be absolute
(put this, delete that), and the stored applied index must never be lowered by such a repetition.
"""

from collections.abc import Callable
from typing import Protocol

from raft.core.messages import Entry, SnapshotMeta


class StateMachine(Protocol):
    """One group's data. An exception from any method stops the host."""

    @property
    def applied_index(self) -> int:
        """The applied index that the data store holds. Read once, at start; 0 for an empty one."""

    def begin_apply(self, entries: list[Entry]) -> Callable[[], None]:
        """LOOP or APPLY. What the APPLY thread is to do now: to write the effects of these entries and the last one's
        index, in one atomic batch, unsynced.

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
