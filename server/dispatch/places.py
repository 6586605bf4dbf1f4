"""Where a command belongs: the slot of its keys, their shard group, and the way to whoever leads that."""

from collections.abc import Iterable
from contextlib import suppress

from server.cluster.topology import Topology
from server.commands.table import SPREAD_ALL, Args, Command
from server.errors import CROSS_SLOT, CommandError
from server.keyspace.slots import key_slot
from server.shard.route import Route


class Places:
    """Of a cluster, as one node sees it."""

    __slots__ = (
        "_redirect",
        "_slot_groups",
        "_topology",
        "anywhere",
        "data_groups",
        "is_cluster",
        "nodes",
        "routes",
        "slot_routes",
    )

    def __init__(self, topology: Topology, routes: dict[int, Route]) -> None:
        self._topology = topology
        self._slot_groups = topology.slot_groups
        self._redirect = topology.routing == "redirect"
        self.nodes = topology.nodes
        self.data_groups = topology.data_groups
        self.anywhere = topology.data_groups[:1]
        """The groups of a command without keys."""
        self.is_cluster = len(topology.nodes) * len(topology.data_groups) > 1
        """There are several nodes, or several groups."""
        self.routes = routes
        """By group."""
        self.slot_routes = [routes[group] for group in topology.slot_groups]

    def group_of_slot(self, slot: int) -> int:
        """The shard group of a slot."""
        return self._slot_groups[slot]

    def group_of(self, key: bytes) -> int:
        """The shard group of a key."""
        return self._slot_groups[key_slot(key)]

    def route_of(self, key: bytes) -> Route:
        """The route of a key's group."""
        return self.slot_routes[key_slot(key)]

    def groups(self, row: Command, args: Args) -> list[int] | tuple[int, ...]:
        """The group of each key of a command that is not NODE, or all groups. Raises CommandError."""
        if row.where is SPREAD_ALL:
            return self.data_groups
        if len(self.data_groups) == 1:
            row.keys.indexes(args)  # it may know of none
            return self.anywhere
        slot_groups = self._slot_groups
        groups = [slot_groups[key_slot(args[at])] for at in row.keys.indexes(args)]
        return groups or self.anywhere

    def groups_of(self, row: Command, args: Args) -> Iterable[int]:
        """As `groups`. A command whose keys can not be told has none in particular: the handler says what is wrong
        with it."""
        try:
            return self.groups(row, args)
        except CommandError:
            return self.anywhere

    def slot_of(self, row: Command, args: Args, group: int) -> int:
        """The slot of the first key; the group's first when there is none, or none can be told."""
        with suppress(CommandError):
            for at in row.keys.indexes(args):
                return key_slot(args[at])
        return self._topology.groups[group].first_slot

    def redirects(self, route: Route) -> bool:
        """Whether a group that is not ready here is answered for by MOVED."""
        return self._redirect and route.leader not in (0, self._topology.me)

    def moved(self, route: Route, slot: int) -> bytes:
        """The text of MOVED, for a route that `redirects`."""
        leader = self._topology.nodes[route.leader]
        return b"MOVED %d %b:%d" % (slot, leader.host.encode(), leader.port)

    def check_routable(self, row: Command, args: Args) -> None:
        """Raises CommandError when a command that is being queued could not run in one group, or not here."""
        if row.is_node:
            return
        groups = set(self.groups_of(row, args))
        if len(groups) > 1:
            raise CommandError(CROSS_SLOT)
        (group,) = groups
        route = self.routes[group]
        if route.here is None and self.redirects(route):
            raise CommandError(self.moved(route, self.slot_of(row, args, group)))
