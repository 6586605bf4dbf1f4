"""What became of the writes that were under way at a leader when it died: the log knows, and tells who asked.

A write that another node forwarded leaves a receipt in the entry that carries its effects: who asked (`asker`, a
random number of that node's process), the number of the request, and the encoded reply. Every replica applies the
entry, and the one that asked finds its receipts there. So it has the reply even when the leader has died before
sending it.

That there is no receipt means something as well. A forwarded write names the term in which its sender believes to be,
and the leader does it in that very term or refuses. Once an entry of a later term has been applied, no entry of that
term is still to come: a write without a receipt by then has not been applied and never will be (or it had no effect),
so that it is done again at the new leader, and its client notices nothing but a pause. `Shard.settled_term` is how far
that goes here.

Where only the connection broke, the same leader tells: when everything that came over it has been answered or refused,
all of that term that is to have a receipt stands in the log, up to the commit index of that moment.

Two things leave the outcome unknown. A snapshot has no receipts: when one was installed since the write was sent
(`Sent.generation`), nothing can be told. A reply of more than `reply_bytes_max` is not kept. And a node that has no
replica of the group sees no receipts; it sends no term.
"""

from enum import Enum
from typing import NamedTuple

Receipt = tuple[int, int, bytes | None]
"""(asker, number of the request, reply); None for a reply that is too large to be kept."""

reply_bytes_max = 64 << 10
"""Larger replies are not repeated in the log."""


class Fate(Enum):
    """Of a forwarded write that was not answered."""

    OPEN = 0
    """The log does not tell yet."""
    NEVER = 1
    """It was not applied, or had no effect, and never will be: unless there is a receipt."""
    UNKNOWN = 2
    """Nobody will be able to tell."""


class Sent(NamedTuple):
    """When a write was forwarded, as its sender saw the group."""

    term: int
    generation: int
    """Of the replica: a snapshot begins another."""
