"""Raft as a deterministic state machine. Start reading at node.py; `__all__` is the interface."""

from raft.core.errors import (
    ConfChangeInvalid,
    ConfChangePending,
    Corrupted,
    EntryTooLarge,
    NotLeader,
    ProposalDropped,
    RaftError,
)
from raft.core.memory import MemoryLog
from raft.core.messages import (
    CONF_CHANGE,
    NONE,
    NORMAL,
    Change,
    ChangeKind,
    ConfChange,
    ConfState,
    Entry,
    HardState,
    JointMode,
    Message,
    MessageKind,
    SnapshotMeta,
    decode_conf_change,
    encode_conf_change,
)
from raft.core.node import RaftNode
from raft.core.ready import PeerStatus, RaftConfig, Ready, Role, Status
from raft.core.storage import Compacted, LogReader, SnapshotUnavailable, Unavailable
from raft.core.tracker import Progress, ProgressState

__all__ = [
    "CONF_CHANGE",
    "NONE",
    "NORMAL",
    "Change",
    "ChangeKind",
    "Compacted",
    "ConfChange",
    "ConfChangeInvalid",
    "ConfChangePending",
    "ConfState",
    "Corrupted",
    "Entry",
    "EntryTooLarge",
    "HardState",
    "JointMode",
    "LogReader",
    "MemoryLog",
    "Message",
    "MessageKind",
    "NotLeader",
    "PeerStatus",
    "Progress",
    "ProgressState",
    "ProposalDropped",
    "RaftConfig",
    "RaftError",
    "RaftNode",
    "Ready",
    "Role",
    "SnapshotMeta",
    "SnapshotUnavailable",
    "Status",
    "Unavailable",
    "decode_conf_change",
    "encode_conf_change",
]
