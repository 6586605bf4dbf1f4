"""Counters of one node, for INFO; CONFIG RESETSTAT starts them again."""

from time import time

error_codes_max = 128
"""Code words of error replies that are counted one by one; scripts can make up any number of them."""


class Stats:
    """Plain counters; whoever does the thing counts it."""

    __slots__ = (
        "commands_processed",
        "connections_received",
        "error_counts",
        "error_replies",
        "evaluated_batches",
        "evicted_clients",
        "expired_fields",
        "expired_keys",
        "forwarded_commands",
        "keyspace_hits",
        "keyspace_misses",
        "lazyfreed_objects",
        "net_input_bytes",
        "net_output_bytes",
        "output_limit_disconnections",
        "query_limit_disconnections",
        "rejected_connections",
        "saved_at_s",
        "unexpected_errors",
        "unsaved_changes",
    )

    def __init__(self) -> None:
        self.error_counts: dict[bytes, int] = {}
        """Code word of an error reply to how often it was sent."""
        self.unsaved_changes = 0
        """Records that the groups led by this node have changed since the last SAVE or BGSAVE; on disk is all that was
        acknowledged, whatever the number. Not for RESETSTAT."""
        self.saved_at_s = int(time())
        """When that was; at first, the start. Likewise."""
        self.reset()

    def reset(self) -> None:
        """All to nought (CONFIG RESETSTAT)."""
        self.commands_processed = 0
        self.connections_received = 0
        self.rejected_connections = 0
        self.error_replies = 0
        self.evicted_clients = 0
        self.evaluated_batches = 0
        self.expired_fields = 0
        self.expired_keys = 0
        self.forwarded_commands = 0
        self.keyspace_hits = 0
        self.keyspace_misses = 0
        self.lazyfreed_objects = 0
        self.net_input_bytes = 0
        self.net_output_bytes = 0
        self.output_limit_disconnections = 0
        self.query_limit_disconnections = 0
        self.unexpected_errors = 0
        self.error_counts.clear()

    def saved(self, changes: int) -> None:
        """A SAVE has been done, of so many of the changes that were not saved."""
        self.unsaved_changes -= changes
        self.saved_at_s = int(time())

    def count_error(self, reply: bytes) -> None:
        """An error was sent."""
        self.error_replies += 1
        code = _code(reply)
        counts = self.error_counts
        if code in counts or len(counts) < error_codes_max:
            counts[code] = counts.get(code, 0) + 1

    def discount_error(self, reply: bytes) -> None:
        """One that was counted will be again."""
        self.error_replies -= 1
        code = _code(reply)
        counts = self.error_counts
        if counts.get(code) == 1:
            del counts[code]
        elif code in counts:
            counts[code] -= 1


def _code(reply: bytes) -> bytes:
    """The first word of an error; a script may return one without any."""
    words = reply[1:].split(None, 1)
    return words[0] if words else b""
