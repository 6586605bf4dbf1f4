"""What tests of writes without a thread need."""

import fcntl
import os
import time
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

import pytest

from raft.storage.aio import AioWriter
from raft.storage.journal import PAGE_BYTES


@pytest.fixture
def eventfd(tmp_path: Path) -> Iterator[int]:
    """For tests of writes without a thread: skips them where the system has none."""
    eventfd = os.eventfd(0, os.EFD_CLOEXEC)
    page = mmap(-1, PAGE_BYTES)
    probe = os.open(tmp_path / "probe", os.O_RDWR | os.O_CREAT | os.O_DSYNC)
    try:
        os.write(probe, page)
        os.posix_fadvise(probe, 0, 0, os.POSIX_FADV_DONTNEED)
        fcntl.fcntl(probe, fcntl.F_SETFL, fcntl.fcntl(probe, fcntl.F_GETFL) | os.O_DIRECT)
        writer = AioWriter(probe, page)
        for _ in range(2):
            time.sleep(0.02)  # XFS refuses when the time of the last write is to change
            writer.begin(PAGE_BYTES, 0, eventfd)
            assert writer.end(wait=True) == PAGE_BYTES
            assert os.eventfd_read(eventfd) == 1
        writer.close()
    except OSError as error:
        os.close(eventfd)
        pytest.skip(f"no writes without a thread here ({error.strerror}); ext4 has them")
    finally:
        os.close(probe)
    yield eventfd
    os.close(eventfd)
