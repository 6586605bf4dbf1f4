"""The journal: the newest writes of the log store, each synced in a file that is written over and over.

A synced write to a file that grows has the file system write its own journal too, for the new size; one to bytes that
are there already is the write alone, in half to three quarters of the time (ext4). So the log store syncs here, keeps
in memory what that was, and moves it to LevelDB in one synced batch when the file is full: a checkpoint. Then the file
is written from its beginning again.

    record    epoch u64 | salt u64 | length u32 | crc32 u32 | payload

Records begin at whole pages of PAGE_BYTES, so that no write touches a page that an acknowledged one lies in. The epoch
counts checkpoints; epoch and salt are in LevelDB with what the checkpoint moved, so that LevelDB says which records are
newer than itself. The salt is random: what lies behind the last record is old payload, clients choose payloads, and
none of them is to look like a record.

The file is open with O_DSYNC: a write is done when it is on disk. It is open with O_DIRECT too where the file system
can do that, and always written by whole pages: so the kernel may do a write without a thread of ours (aio.py). `append`
is for a thread; `begin_append` and `end_append` are for the loop, and may be refused.

A record is written when the one before it is on disk. So the first that is not whole is the end, a write that nobody
was told of; but with a whole one behind it, it is damage, and so is a file whose first record is of an epoch that
LevelDB does not know yet: that has lost a checkpoint.
"""

import fcntl
import os
from contextlib import suppress
from mmap import mmap
from secrets import randbits
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from raft.storage.aio import AioWriter
from raft.storage.files import sync_path
from raft.storage.records import BadRecord

PAGE_BYTES: Final = 4096
BYTES_MAX: Final = 3 << 20
"""Of the file. The entries in it, at ENTRY_OVERHEAD_BYTES more than their data, are less than the newest that each
group has in memory: three quarters of CACHE_BYTES_MAX."""
RECORD_BYTES_MAX: Final = 512 << 10
"""Of one payload. What is larger is not worth writing twice."""
_GROW_BYTES: Final = 256 << 10
_FLAGS: Final = os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC
_HEAD = Struct(">QQII")
_EPOCH = Struct(">QQ")


class Epoch(NamedTuple):
    """Which records are newer than LevelDB."""

    number: int
    salt: int

    def encode(self) -> bytes:
        """For LevelDB."""
        return _EPOCH.pack(self.number, self.salt)

    @classmethod
    def decode(cls, record: bytes) -> "Epoch":
        """Raises BadRecord."""
        if len(record) != _EPOCH.size:
            raise BadRecord("its epoch has the wrong length")
        return cls(*_EPOCH.unpack(record))

    def following(self) -> "Epoch":
        """The one after the next checkpoint."""
        return Epoch(self.number + 1, randbits(64))


class Journal:
    """One open journal. One thread at a time; who holds LevelDB's lock has it alone."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        """Made by `create` and `open`."""
        self._descriptor = descriptor
        self._size_bytes = size_bytes // PAGE_BYTES * PAGE_BYTES
        self._epoch = Epoch(0, 0)
        self._end = 0
        self._buffer = mmap(-1, _pages(RECORD_BYTES_MAX))
        """Of the record that is being written, from its beginning. What lies behind that does not matter: it can not
        come to lie at the beginning of a page of the file that a record does not begin or cover."""
        self._view = memoryview(self._buffer)
        self._aio = self._direct()
        self._begun_length = 0
        """Of the record that `begin_append` writes, in whole pages; 0: there is none."""

    @classmethod
    def create(cls, path: str) -> "Journal":
        """An empty file, in the place of one that a start left behind that came to nothing. Raises OSError."""
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.pwrite(descriptor, bytes(_GROW_BYTES), 0)
            os.fsync(descriptor)
            sync_path(os.path.dirname(path))
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, _GROW_BYTES)

    @classmethod
    def open(cls, path: str) -> "Journal":
        """Raises OSError; FileNotFoundError is one."""
        descriptor = os.open(path, _FLAGS)
        return cls(descriptor, os.fstat(descriptor).st_size)

    def _direct(self) -> AioWriter | None:
        """Go round the page cache from here on, if file system and disk can do that with our pages."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
            os.preadv(self._descriptor, [self._view[:PAGE_BYTES]], 0)
            # A write round pages that are in the cache would have to wait until those are gone.
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            return AioWriter(self._descriptor, self._buffer)
        except OSError:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags)
            return None

    def read(self, epoch: Epoch) -> list[bytes]:
        """The payloads of `epoch`, in the order in which they were appended. Raises BadRecord (damage), OSError."""
        size_bytes = os.fstat(self._descriptor).st_size
        pages = mmap(-1, max(-(-size_bytes // PAGE_BYTES), 1) * PAGE_BYTES)
        read_bytes = os.preadv(self._descriptor, [pages], 0)
        if read_bytes < size_bytes:  # of a bad sector: what is behind it may be acknowledged
            raise OSError(f"only {read_bytes} of {size_bytes} bytes of its journal were read")
        content = pages[:size_bytes]
        if _record(content, 0, None) is not None and _HEAD.unpack_from(content)[0] > epoch.number:
            raise BadRecord("what was moved from its journal is missing")
        payloads: list[bytes] = []
        place = 0
        while (payload := _record(content, place, epoch)) is not None:
            payloads.append(payload)
            place += _pages(len(payload))
        for later in range(place + PAGE_BYTES, len(content), PAGE_BYTES):
            if _record(content, later, epoch) is not None:
                raise BadRecord(f"record {len(payloads)} of its journal does not match its checksum")
        return payloads

    def begin(self, epoch: Epoch) -> None:
        """Write from the beginning again: LevelDB has everything, and says that `epoch` begins."""
        self._epoch = epoch
        self._end = 0

    @property
    def epoch(self) -> Epoch:
        """The epoch of what is appended."""
        return self._epoch

    def has_room(self, length: int) -> bool:
        """Whether `append` may be called with a payload of so many bytes."""
        return length <= RECORD_BYTES_MAX and self._end + _pages(length) <= BYTES_MAX

    def append(self, payload: bytes) -> None:
        """Write one record; it is on disk when this returns. Raises OSError: nothing is known of it then."""
        length = self._lay(payload)
        while self._end + length > self._size_bytes:
            os.pwrite(self._descriptor, mmap(-1, _GROW_BYTES), self._size_bytes)
            self._size_bytes += _GROW_BYTES
        written = os.pwrite(self._descriptor, self._view[:length], self._end)
        if written != length:
            raise OSError(f"only {written} of {length} bytes were written")
        self._end += length

    def begin_append(self, payload: bytes, eventfd: int) -> bool:
        """Begin to write one record, and have the kernel add to `eventfd` when it is on disk; `end_append` comes next.
        False: it takes `append`, nothing was done."""
        if self._aio is None:
            return False
        length = self._lay(payload)
        if self._end + length > self._size_bytes:
            return False
        try:
            self._aio.begin(length, self._end, eventfd)
        except BlockingIOError:
            return False
        except OSError:
            self._give_up_aio()
            return False
        self._begun_length = length
        return True

    def end_append(self, *, wait: bool = False) -> bool | None:
        """Whether what was begun is on disk; None: not yet, unless `wait`; False: it is not, or not all of it, as the
        kernel would have had to wait: it takes `append`. Raises OSError: nothing is known of it then."""
        assert self._aio is not None
        try:
            written = self._aio.end(wait=wait)
        except BlockingIOError:
            written = 0
        if written is None:
            return None
        length, self._begun_length = self._begun_length, 0
        if written < length:
            return False
        self._end += length
        return True

    @property
    def has_begun(self) -> bool:
        """Something was begun and not ended."""
        return self._begun_length > 0

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor >= 0:
            self._give_up_aio()
            os.close(self._descriptor)
            self._descriptor = -1

    def _lay(self, payload: bytes) -> int:
        """Put a record into the buffer. Returns its length in whole pages."""
        head = _HEAD.pack(*self._epoch, len(payload), 0)[:-4]
        record = head + crc32(payload, crc32(head)).to_bytes(4, "big") + payload
        self._view[: len(record)] = record
        return _pages(len(payload))

    def _give_up_aio(self) -> None:
        if self._aio is not None:
            with suppress(OSError):
                self._aio.close()
            self._aio = None


def _pages(length: int) -> int:
    """Bytes of the whole pages that a record with a payload of `length` takes."""
    return -(-(_HEAD.size + length) // PAGE_BYTES) * PAGE_BYTES


def _record(content: bytes, place: int, epoch: Epoch | None) -> bytes | None:
    """The payload of a whole record at `place`, of this epoch when that is given; or None."""
    if len(content) - place < _HEAD.size:
        return None
    number, salt, length, checksum = _HEAD.unpack_from(content, place)
    if epoch is not None and (number, salt) != epoch:
        return None
    start = place + _HEAD.size
    payload = content[start : start + length]
    head = content[place : start - 4]
    return payload if len(payload) == length and crc32(payload, crc32(head)) == checksum else None
