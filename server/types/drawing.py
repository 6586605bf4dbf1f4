"""Random rows of many, with breaths (keyspace/breath.py): a client may ask for a million of them."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from server.keyspace.breath import paced

Row = TypeVar("Row")


def choices(random: Random, rows: Sequence[Row], count: int) -> list[Row]:
    """`count` of `rows`, each drawn from all."""
    return [random.choice(rows) for _ in paced(iter(range(count)))]


def sample(random: Random, rows: Sequence[Row], count: int) -> list[Row]:
    """`count` different ones of `rows`, at most all of them, in random order."""
    left = list(rows)
    drawn = []
    for size in paced(iter(range(len(left), len(left) - min(count, len(left)), -1))):
        at = random.randrange(size)
        drawn.append(left[at])
        left[at] = left[size - 1]
    return drawn
