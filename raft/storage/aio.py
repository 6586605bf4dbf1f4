"""Writes that the kernel does by itself while the caller goes on: Linux's native asynchronous I/O (io_submit(2)).

A thread that does a synced write for the loop has to be given a processor and the interpreter's lock twice, which takes
longer than the disk. The kernel needs neither: it takes the write in some 15 µs, and adds to an eventfd when the bytes
are on the disk. It works so for files open with O_DIRECT, out of memory that begins at a page; for others, or where the
kernel would have to wait (a page that is not there yet, a queue that is full), io_submit would do the write before it
returns. RWF_NOWAIT has it refuse those instead.

So this is a shortcut that may be refused at any time. Whoever takes it has another way: see journal.py.
"""

import ctypes
import errno
import os
import platform
import sys
from mmap import mmap
from typing import Any, Final

_SETUP, _DESTROY, _GETEVENTS, _SUBMIT = range(4)
_GENERIC = {_SETUP: 0, _DESTROY: 1, _SUBMIT: 2, _GETEVENTS: 4}
_SYSCALLS: Final = {
    "x86_64": {_SETUP: 206, _DESTROY: 207, _GETEVENTS: 208, _SUBMIT: 209},
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
}
"""Numbers of the system calls, for which the C library has no functions. 64 bits, the lowest byte first."""
_COMMAND_PWRITE = 1
_FLAG_EVENTFD = 1
_RWF_NOWAIT = 8


class _Iocb(ctypes.Structure):
    """struct iocb of linux/aio_abi.h."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_uint32),
        ("command", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("place", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("eventfd", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """struct io_event."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("iocb", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class AioWriter:
    """Writes to one open file from one buffer, one write at a time. Any thread, one at a time."""

    def __init__(self, descriptor: int, buffer: mmap) -> None:
        """`descriptor` is open with O_DIRECT. Raises OSError where the system has no such thing."""
        calls = _SYSCALLS.get(platform.machine())
        if calls is None or sys.byteorder != "little" or sys.maxsize < 1 << 32:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._syscall: Any = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        context = ctypes.c_ulong(0)
        self._call(ctypes.c_long(calls[_SETUP]), ctypes.c_long(1), ctypes.byref(context))
        self._iocb: Any = _Iocb(
            rw_flags=_RWF_NOWAIT,
            command=_COMMAND_PWRITE,
            descriptor=descriptor,
            buffer=ctypes.addressof(ctypes.c_char.from_buffer(buffer)),
            flags=_FLAG_EVENTFD,
        )
        self._buffer = buffer  # the kernel reads it: it has to last
        self._event: Any = _Event()
        one = ctypes.c_long(1)
        iocbs = (ctypes.POINTER(_Iocb) * 1)(ctypes.pointer(self._iocb))
        self._submit = (ctypes.c_long(calls[_SUBMIT]), context, one, iocbs)
        events = ctypes.byref(self._event)
        getevents = (ctypes.c_long(calls[_GETEVENTS]), context)
        self._look = (*getevents, ctypes.c_long(0), one, events, None)
        self._wait = (*getevents, one, one, events, None)
        self._destroy = (ctypes.c_long(calls[_DESTROY]), context)

    def begin(self, length: int, place: int, eventfd: int) -> None:
        """Begin to write the first `length` bytes of the buffer at `place` of the file, both whole pages; `eventfd` is
        added to when it is done.

        Raises OSError, and nothing is written: BlockingIOError if this one would have had to be waited for; others if
        there is no point in trying again.
        """
        self._iocb.length = length
        self._iocb.place = place
        self._iocb.eventfd = eventfd
        self._call(*self._submit)

    def end(self, *, wait: bool = False) -> int | None:
        """How many bytes were written by what was begun; None while it is not done, unless `wait`. Fewer than all: the
        rest would have had to be waited for.

        Raises OSError when it has failed; BlockingIOError: nothing is written, likewise.
        """
        if not self._call(*(self._wait if wait else self._look)):
            return None
        result: int = self._event.result
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def close(self) -> None:
        """Wait for what was begun, and give all back."""
        self._call(*self._destroy)

    def _call(self, *arguments: Any) -> int:
        while True:
            result: int = self._syscall(*arguments)
            if result >= 0:
                return result
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))
