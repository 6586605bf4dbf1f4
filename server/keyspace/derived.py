"""What commands have worked out about single collections, such as the part of a rank index that was read.

It is as true as the view it belongs to: a command that fails after it has written empties it. So who changes a
collection writes first and then has the structure follow, at once; or takes it out and puts it back when it agrees
again.
"""

from collections import OrderedDict
from typing import Any, Protocol

structures_max = 32
"""Kept by one Derived."""
_SPARE_SHARE = 5
"""Such a part of the size is not for what structures keep for comfort's sake."""


class Sized(Protocol):
    """What Derived keeps."""

    size: int
    """Roughly in records; it may grow while it is kept."""


class Derived:
    """Structures by the id of their collection, the last used ones."""

    __slots__ = ("_kept", "_size", "_size_max", "_sizes")

    def __init__(self, size_max: int) -> None:
        """`size_max`: of all together, in records."""
        self._kept: OrderedDict[int, Sized] = OrderedDict()
        self._size_max = size_max
        self._sizes: dict[int, int] = {}
        """As they were when they were last kept."""
        self._size = 0
        """Their sum."""

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, id_: int) -> Any:
        """What is kept for a collection, None when there is nothing."""
        found = self._kept.get(id_)
        if found is not None:
            self._kept.move_to_end(id_)
        return found

    def room(self) -> int:
        """By how many records something may grow that could do without; negative: somebody should rather shrink."""
        return self._size_max - self._size_max // _SPARE_SHARE - self._size

    def keep(self, id_: int, structure: Sized) -> None:
        """Keep `structure`, and nothing else for that collection; what was not used for longest makes room."""
        kept, sizes = self._kept, self._sizes
        kept[id_] = structure
        kept.move_to_end(id_)
        self._size += structure.size - sizes.get(id_, 0)
        sizes[id_] = structure.size
        while len(kept) > structures_max or self._size > self._size_max:
            self.forget(next(iter(kept)))

    def forget(self, id_: int) -> None:
        """Nothing is kept for this collection any more."""
        if self._kept.pop(id_, None) is not None:
            self._size -= self._sizes.pop(id_)

    def clear(self) -> None:
        """Nothing is kept at all."""
        self._kept.clear()
        self._sizes.clear()
        self._size = 0
