"""What every job of these tests does: it says that it ran, in a file, which no server can lose.

A worker finds the file's name in RAN; a line is one run. `number` tells the jobs of a test apart.
"""

import os
from collections import Counter
from pathlib import Path

FILE = "RAN"


def ran(name: object) -> int:
    """Note a run of the job; how many there have been with this one."""
    path = os.environ[FILE]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, f"{name}\n".encode())
    finally:
        os.close(descriptor)
    return runs(Path(path))[str(name)]


def runs(path: Path) -> Counter[str]:
    """How often each job has run."""
    return Counter(path.read_text().split()) if path.exists() else Counter()


def at_the_second_try(name: object) -> int:
    """A job that has to be tried again. Raises ValueError the first time."""
    count = ran(name)
    if count == 1:
        raise ValueError("the first try fails")
    return count
