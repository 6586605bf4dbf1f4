"""What the person who runs the benchmark asked for, as every part is given it."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.progress import Progress


@dataclass(frozen=True, slots=True)
class Options:
    """See `python -m tests.bench --help`."""

    directory: Path
    """Of this part alone; it is deleted afterwards."""
    rounds: int
    seconds: float
    """Of one measurement."""
    keys: int
    """That part size loads."""
    idle_connections: int
    progress: Progress


RANDOM_KEYS = 100_000
"""Keys that throughput is measured with; all of them exist."""
