"""Whose data directory this is, and whether a peer is the one it was before.

A data directory remembers the cluster, the node and the layout it was made for, so that a wrong --data or an
edited file is noticed before any harm is done. It also remembers every peer's incarnation, the identity of
the peer's own data directory: a voter that comes back with an empty disk has forgotten what it acknowledged
and whom it voted for, so its word must not count.

A peer whose data is lost for good is rebuilt (membership.py): first it is fenced, so that no data directory of
its is accepted, and when it is no member of any group any more it is forgotten, so that the next one is.
"""

import msgspec

from raft.storage import LogStore
from server.cluster.topology import Topology
from server.config.reader import ConfigError
from server.keyspace.layout import LAYOUT


class Identity(msgspec.Struct):
    """What a data directory was made for."""

    cluster: str
    node: str
    groups: int
    replicas: dict[int, tuple[int, ...]]


def check_identity(store: LogStore, cluster: str, name: str, topology: Topology) -> None:
    """Remember who we are, or raise ConfigError when the directory belongs to somebody else."""
    mine = Identity(
        cluster,
        name,
        len(topology.data_groups),
        {group.number: group.replicas for group in topology.groups.values()},
    )
    record = store.get_meta("identity")
    if record is None:
        # First: without an identity the directory is new whatever else it has.
        store.put_meta("layout", b"%d" % LAYOUT)
        store.put_meta("identity", msgspec.json.encode(mine))
        return
    layout = int(store.get_meta("layout") or 0)
    if layout != LAYOUT:
        raise ConfigError(
            f"this data directory was written by another version of Redraft (layout {layout}, this one reads {LAYOUT}):"
            " run that version on it, or move it away and begin with an empty one; in a cluster `redraft rebuild` lets"
            " the node do so"
        )
    found = msgspec.json.decode(record, type=Identity)
    if (found.cluster, found.node) != (cluster, name):
        raise ConfigError(
            f"this data directory belongs to node {found.node} of cluster {found.cluster}, not to node {name} of"
            f" cluster {cluster}: give the right one with --data, or an empty one"
        )
    if found.groups != mine.groups:
        raise ConfigError(
            f"the data was made with groups = {found.groups}, the configuration says {mine.groups}: set it back,"
            " the number of groups can not change once there is data"
        )
    if found.replicas != mine.replicas:
        raise ConfigError(
            "the nodes or replicas of the configuration are not those that the data was made with:"
            " set nodes (and their order) and replicas back"
        )


_FENCED = b"fenced"
"""What stands for the incarnation of a peer that is being rebuilt; real ones are 16 bytes long."""


class PeerCheck:
    """Remembers each peer's incarnation from its first connection on."""

    def __init__(self, store: LogStore, topology: Topology) -> None:
        self._store = store
        self._topology = topology
        self._known: dict[int, bytes] = {}
        self._refused: set[int] = set()
        for number in topology.nodes:
            record = store.get_meta(f"peer/{number}")
            if record is not None:
                self._known[number] = record

    def __call__(self, number: int, incarnation: bytes) -> str | None:
        """A reason to refuse the peer, or None."""
        known = self._known.get(number)
        if known is None:
            self._known[number] = incarnation
            self._store.put_meta(f"peer/{number}", incarnation)
        if known is None or known == incarnation:
            self._refused.discard(number)
            return None
        self._refused.add(number)
        name = self._topology.nodes[number].name
        if known == _FENCED:
            return (
                f"node {name} is being rebuilt: it can take part when `redraft rebuild` has come to its end"
            )
        return (
            f"node {name} has another data directory than before: what it acknowledged is not there, so it can not"
            " take part; start it with its old data directory, or stop the other process that calls itself so, or,"
            f" if its data is lost, stop it, run `redraft rebuild FILE --node {name}`, and start it again empty"
        )

    def refused(self, number: int) -> bool:
        """Whether the peer was refused when it was last heard of."""
        return number in self._refused

    def fenced(self, number: int) -> bool:
        """Whether the peer is being rebuilt: nobody is accepted in its name."""
        return self._known.get(number) == _FENCED

    def fence(self, number: int) -> None:
        """Accept nobody in the peer's name from now on; `write_fence` makes it last."""
        self._known[number] = _FENCED

    def forget(self, number: int) -> None:
        """Accept whoever comes next in the peer's name; only after `write_forgotten`, or that would forget him."""
        self._known.pop(number, None)
        self._refused.discard(number)

    def write_fence(self, number: int) -> None:
        """Disk thread: the fence outlasts a restart. Raises LogFailed."""
        self._store.put_meta(f"peer/{number}", _FENCED)

    def write_forgotten(self, number: int) -> None:
        """Disk thread: after a restart the peer is unknown. Raises LogFailed."""
        self._store.delete_meta(f"peer/{number}")
