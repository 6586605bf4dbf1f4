"""The replicated log on disk: one LevelDB for all groups of a node, behind a journal. See leveldb.py and
records.py."""

from raft.storage.errors import (
    LogDamaged,
    LogFailed,
    LogForeign,
    LogLocked,
    LogMissing,
    StorageError,
    SystemRefused,
    check_refusal,
)
from raft.storage.group_log import GroupLog
from raft.storage.leveldb import GroupWrite, LogStore

__all__ = [
    "GroupLog",
    "GroupWrite",
    "LogDamaged",
    "LogFailed",
    "LogForeign",
    "LogLocked",
    "LogMissing",
    "LogStore",
    "StorageError",
    "SystemRefused",
    "check_refusal",
]
