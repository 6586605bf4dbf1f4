"""The replicated log on disk, of all groups of a node. See log_store.py, table.py and journal.py."""

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
from raft.storage.files import sync_path
from raft.storage.group_log import GroupLog
from raft.storage.log_store import GroupWrite, LogStore

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
    "sync_path",
]
