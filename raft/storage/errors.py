"""What can be wrong with a log directory. Each text is one sentence with what to do about it."""


class StorageError(Exception):
    """The log store can not be used. `str()` is a sentence for the person who runs the node."""


class LogMissing(StorageError):
    """There is no log in this directory."""


class LogForeign(StorageError):
    """The directory holds something, but not a log of ours that this version can read."""


class LogLocked(StorageError):
    """Another process has the log open."""


class LogDamaged(StorageError):
    """What was written is not all there. The replica must not run on it."""


class LogFailed(StorageError):
    """A write failed. Nothing may be acknowledged any more; the node must stop."""
