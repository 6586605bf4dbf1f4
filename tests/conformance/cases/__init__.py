"""What is sent to Redraft and to a real Valkey, whose replies must be the same: a file per command family.

Each file exports `CASES`. A case starts on an empty database and is one client's transcript. To add one, append to
the list of its family; commands that tell the time or a random thing have no place here.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Case(NamedTuple):
    """One transcript."""

    name: str
    """What it shows; unique within its file."""
    steps: Sequence[Sequence[str | bytes]]
    """Requests, sent one after the other."""
