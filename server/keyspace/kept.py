"""Effects some of which stay when what came after them is taken back: a script's commands are done one by one."""


class Kept(dict[bytes, bytes | None]):
    """Effects of which those until the last `keep` stay; what came since can be taken back."""

    __slots__ = ("undo",)

    def __init__(self, effects: dict[bytes, bytes | None]) -> None:
        super().__init__(effects)
        self.undo: list[tuple[bytes, bool, bytes | None]] = []
        """(key, whether it was there, its value) before each write."""

    def __setitem__(self, key: bytes, value: bytes | None) -> None:
        self.undo.append((key, key in self, self.get(key)))
        super().__setitem__(key, value)

    def restore(self) -> list[bytes]:
        """As at the last `keep`; the keys that are gone."""
        gone = []
        while self.undo:
            key, was_there, value = self.undo.pop()
            if was_there:
                super().__setitem__(key, value)
            else:
                del self[key]
                gone.append(key)
        return gone
