"""Many Raft groups on one Trio loop: see host.py for the loop, links.py for the network, snapshots.py for snapshots."""

from raft.runtime.frames import FrameError
from raft.runtime.group import Group, GroupStatus
from raft.runtime.host import Host
from raft.runtime.link import Link
from raft.runtime.links import Links
from raft.runtime.machine import StateMachine
from raft.runtime.options import HostOptions

__all__ = ["FrameError", "Group", "GroupStatus", "Host", "HostOptions", "Link", "Links", "StateMachine"]
