"""What is noted of a script while it runs, for those who look on at its client's node."""

from collections.abc import Callable


class ScriptNotes:
    """What a script does, for its client's node: it may have clients that cache, or that MONITOR."""

    __slots__ = ("complete", "keys", "shown", "then", "visiting")

    def __init__(self, *, visiting: bool = False, reads: bool = True, shown: bool = False) -> None:
        """`visiting`: the client is on another node, and who MONITORs here is not told; `reads`: it caches; `shown`:
        somebody MONITORs there."""
        self.visiting = visiting
        self.keys: set[bytes] | None = set() if reads else None
        """What it has read; None: nobody wants to know."""
        self.complete = False
        """It has ended: there is no more to come."""
        self.shown: list[tuple[int, bytes]] | None = [] if shown else None
        """Database and words of each command that it has called; None as well."""
        self.then: Callable[[], None] = lambda: None
        """Called when it has ended, before its client hears of it."""

    def clear(self) -> None:
        """It begins anew."""
        if self.keys is not None:
            self.keys.clear()
        if self.shown is not None:
            self.shown.clear()

    @property
    def untouched(self) -> bool:
        """It has ended, and read nothing."""
        return self.complete and not self.keys
