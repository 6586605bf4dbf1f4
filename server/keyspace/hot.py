"""Whole replies to GET, and to those that read a good part of a key (`kept` in commands/table.py).

Of all groups that this node leads: what saves them the walk through dispatch and shard. A reply is in here only while
it is settled: nothing of its key expires, what it says is committed, and no later command has touched the key, not even
an uncommitted one. So whoever can prove that this node leads may give it (dispatch/hot.py). The views see to that: who
changes a key takes its replies out.
"""

from server.keyspace.cache import record_bytes_max

MISSING = b"missing"
"""Stands for the reply that there is no such key, which is not the same in RESP2 and 3."""
part_bytes_max = 1 << 16
"""Larger replies about a part of a key are not kept."""
parts_bytes_max = 16 << 20
"""Of all of them."""
parts_of_key_max = 64
_PART_BYTES = 300
"""What a request takes beside its reply, about."""
_FOUND_BYTES = 256
"""So much of such replies costs as much to make again as a reply to GET."""

Request = tuple[int | bytes, ...]
"""The client's RESP version, and the words of a command."""


class HotReplies:
    """Encoded replies of one node: to GET, or MISSING, and to other requests about one key."""

    def __init__(self, databases: int, limit: int) -> None:
        """`limit`: replies to GET in each database, at least 1; when there are so many it begins anew."""
        self.databases: list[dict[bytes, bytes]] = [{} for _ in range(databases)]
        """By number: key to reply to GET. For reading; a write to a key takes it out."""
        self.parts: list[dict[bytes, dict[Request, bytes]]] = [{} for _ in range(databases)]
        """By number: key to replies to other requests about it. Likewise."""
        self._limit = limit
        self.quiet = False
        """What is read now is not used: CLIENT NO-TOUCH."""
        self._parts_bytes = 0
        """Of `parts`, with what was taken out since it was counted."""

    def keep(self, db: int, key: bytes, reply: bytes) -> None:
        """Remember a settled reply to GET."""
        if len(reply) <= record_bytes_max:
            replies = self.databases[db]
            if len(replies) >= self._limit:
                replies.clear()
            replies[key] = reply

    def keep_part(self, db: int, key: bytes, request: Request, reply: bytes) -> None:
        """Remember a settled reply to another request about `key`."""
        if len(reply) > part_bytes_max:
            return
        parts = self.parts[db].setdefault(key, {})
        if len(parts) >= parts_of_key_max:
            parts.clear()
        parts[request] = reply
        self._parts_bytes += len(reply) + _PART_BYTES
        if self._parts_bytes > parts_bytes_max:
            self._count_parts()

    def _count_parts(self) -> None:
        """Begin anew, unless much of what was kept has been taken out."""
        self._parts_bytes = sum(
            len(reply) + _PART_BYTES
            for keys in self.parts
            for parts in keys.values()
            for reply in parts.values()
        )
        if self._parts_bytes > parts_bytes_max // 2:
            self._parts_bytes = 0
            for keys in self.parts:
                keys.clear()

    @property
    def cost(self) -> int:
        """About what it costs to make all of them again, in replies to GET."""
        return sum(map(len, self.databases)) + self._parts_bytes // _FOUND_BYTES

    def clear(self) -> None:
        """Databases were exchanged or emptied, a group is led by this node no more, or a period is over (uses.py)."""
        for replies in self.databases:
            replies.clear()
        for keys in self.parts:
            keys.clear()
        self._parts_bytes = 0
