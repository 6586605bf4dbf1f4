"""Writes that the kernel does by itself."""

import os
import threading
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

import pytest

from raft.storage.aio import AioWriter
from raft.storage.journal import PAGE_BYTES


class Target:
    """A file of four pages, and a writer to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(4 * PAGE_BYTES))
        self.descriptor = os.open(path, os.O_RDWR | os.O_DSYNC | os.O_DIRECT)
        os.fsync(self.descriptor)
        os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self.buffer = mmap(-1, 2 * PAGE_BYTES)
        self.writer = AioWriter(self.descriptor, self.buffer)


@pytest.fixture
def target(tmp_path: Path, eventfd: int) -> Iterator[Target]:
    target = Target(tmp_path / "target")
    yield target
    target.writer.close()
    os.close(target.descriptor)


def test_the_first_bytes_of_the_buffer_come_to_lie_at_the_place(target: Target, eventfd: int) -> None:
    target.buffer[:] = b"a" * PAGE_BYTES + b"b" * PAGE_BYTES
    target.writer.begin(PAGE_BYTES, 2 * PAGE_BYTES, eventfd)
    assert os.eventfd_read(eventfd) == 1
    assert target.writer.end() == PAGE_BYTES
    assert target.path.read_bytes() == bytes(2 * PAGE_BYTES) + b"a" * PAGE_BYTES + bytes(PAGE_BYTES)


def test_to_ask_whether_it_is_done_is_not_to_wait(target: Target) -> None:
    answers: list[int | None] = []
    asks = threading.Thread(target=lambda: answers.append(target.writer.end()), daemon=True)
    asks.start()
    asks.join(10)
    assert answers == [None]


def test_what_would_have_to_wait_is_refused(target: Target, eventfd: int) -> None:
    target.path.read_bytes()  # its pages are in the cache
    target.buffer[:1] = b"a"

    def write() -> None:
        target.writer.begin(PAGE_BYTES, 0, eventfd)
        target.writer.end(wait=True)

    with pytest.raises(BlockingIOError):
        write()
    assert b"a" not in target.path.read_bytes()


def test_an_error_of_the_disk_is_one_of_the_write(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.writer._event.result = -5
    monkeypatch.setattr(target.writer, "_call", lambda *_: 1)
    with pytest.raises(OSError, match="Input/output error"):
        target.writer.end()
    monkeypatch.undo()


@pytest.mark.parametrize("machine", ["i686", "s390x"])
def test_a_machine_whose_system_calls_are_not_known_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(OSError, match="not implemented"):
        AioWriter(0, mmap(-1, PAGE_BYTES))


def test_a_file_that_is_not_written_to_is_no_target(tmp_path: Path, eventfd: int) -> None:
    (tmp_path / "other").write_bytes(bytes(PAGE_BYTES))
    descriptor = os.open(tmp_path / "other", os.O_RDONLY | os.O_DIRECT)
    writer = AioWriter(descriptor, mmap(-1, PAGE_BYTES))
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.begin(PAGE_BYTES, 0, eventfd)
    writer.close()
    os.close(descriptor)
