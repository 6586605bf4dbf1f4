"""What can be wrong with a log directory. Each text is one sentence with what to do about it."""

import errno
import os

REMEDY = (
    "move the node's data directory away and rebuild the node from its peers; a backup is of use to a node without"
    " peers only"
)
"""For a replica that is not all there. Not from a backup: that would not know what the node acknowledged since, nor
whom it voted for, and its peers would take it for the node that it was."""


class StorageError(Exception):
    """The log store can not be used. `str()` is a sentence for the person who runs the node."""


class LogMissing(StorageError):
    """There is no log in this directory."""


class LogForeign(StorageError):
    """The directory holds something, but not a log of ours that this version can read."""


class LogLocked(StorageError):
    """Another process has the log open."""


class SystemRefused(StorageError):
    """There is no space, no permission or the like: nothing is wrong with what was written."""


_REFUSALS = tuple(
    os.strerror(code)
    for code in (
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.EROFS,
    )
)


def check_refusal(what: str, error: Exception) -> None:
    """Raise SystemRefused when `error`, met while opening `what`, is the system's and no matter of the data: LevelDB
    tells by words alone."""
    text = str(error)
    reason = next((refusal for refusal in _REFUSALS if refusal in text), None)
    if reason is not None:
        raise SystemRefused(
            f"{what} can not be opened: {reason}; nothing is wrong with the data, start again when that is mended"
        ) from error


class LogDamaged(StorageError):
    """What was written is not all there. The replica must not run on it."""


class LogFailed(StorageError):
    """A write failed. Nothing may be acknowledged any more; the node must stop."""
