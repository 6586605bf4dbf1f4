"""ACL LOG: what was refused on this node, newest first; what repeats within a minute is one entry."""

from dataclasses import dataclass
from time import time

from server.parameters.settings import Settings

_repeats_within_ms = 60_000
_compared_max = 10
"""Only the newest entries are looked at for one to add to."""


@dataclass(slots=True)
class AclLogEntry:
    """One kind of refusal."""

    id: int
    reason: bytes
    """command, key, channel, database or auth."""
    context: bytes
    """toplevel, multi or lua."""
    object: bytes
    username: bytes
    client_info: bytes
    """Of the last client that met with it, as in CLIENT LIST."""
    created_ms: int
    updated_ms: int
    count: int = 1


class AclLog:
    """The newest `acllog-max-len` entries."""

    def __init__(self, settings: Settings) -> None:
        self.entries: list[AclLogEntry] = []
        self._settings = settings
        self._next_id = 0

    def add(self, reason: bytes, context: bytes, object_: bytes, username: bytes, client_info: bytes) -> None:
        """Note a refusal."""
        now_ms = int(time() * 1000)
        for at, entry in enumerate(self.entries[:_compared_max]):
            if (entry.reason, entry.context, entry.object, entry.username) == (
                reason,
                context,
                object_,
                username,
            ) and now_ms - entry.updated_ms <= _repeats_within_ms:
                entry.count += 1
                entry.updated_ms, entry.client_info = now_ms, client_info
                self.entries.insert(0, self.entries.pop(at))
                return
        entry = AclLogEntry(self._next_id, reason, context, object_, username, client_info, now_ms, now_ms)
        self._next_id += 1
        self.entries.insert(0, entry)
        del self.entries[int(self._settings.value("acllog-max-len")) :]
