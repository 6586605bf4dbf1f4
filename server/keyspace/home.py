"""Which keys live in a group: what a script may touch, and which of all keys a command over all groups sees."""

from collections.abc import Sequence
from typing import Any

from server.keyspace.slots import key_slot


class Home:
    """The slots of a group, and where it is."""

    __slots__ = ("_groups", "_number", "is_all", "node")

    def __init__(self, number: int, groups: Sequence[int], node: Any = None) -> None:
        """`groups`: slot to group number; `node`: the node that this is (commands/context.py), for those commands of a
        script that it answers by itself."""
        self.node = node
        self._number = number
        self._groups = groups
        self.is_all = all(group == number for group in groups)
        """Every key lives here."""

    def owns(self, key: bytes) -> bool:
        """Whether `key` lives in the group."""
        return self.is_all or self._groups[key_slot(key)] == self._number


EVERYWHERE = Home(1, ())
