"""Making files last."""

import os
from pathlib import Path


def sync_path(path: str | Path) -> None:
    """What a file holds, or a directory names, is on disk when this returns. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
