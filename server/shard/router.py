"""All routes of a node, and the end of a turn for them: drain what can go, propose what was written, send
what was asked."""

from server.cluster.topology import Topology
from server.keyspace.hot import HotReplies
from server.shard.call import Call
from server.shard.clock import TurnClock
from server.shard.forward import Forwarder
from server.shard.route import Route
from server.shard.shard import Shard

rounds_max = 64
"""Draining may cause more to drain; what is left after so many rounds waits for the next turn."""


class Router:
    """Owns the routes; `end_turn` is called once at the end of every turn."""

    def __init__(
        self, topology: Topology, clock: TurnClock, hot: HotReplies, *, leader_wait_s: float
    ) -> None:
        self.routes: dict[int, Route] = {}
        """By group."""
        self.forwarder: Forwarder | None = None
        self.hot = hot
        self._topology = topology
        self._clock = clock
        self._leader_wait_s = leader_wait_s
        self._dirty_routes: set[Route] = set()
        self._dirty_shards: set[Shard] = set()

    def add(self, group: int, shard: Shard | None) -> Route:
        """The route of a group; `shard`: this node's replica of it, if it has one."""
        route = Route(
            group,
            self._topology.me,
            shard,
            self._clock,
            leader_wait_s=self._leader_wait_s,
            hint=self._topology.groups[group].replicas[0],
            send=self._send,
            cancel=self._cancel,
            forget=self._forget,
            on_dirty=self._dirty_routes.add,
        )
        self.routes[group] = route
        return route

    def _send(self, route: Route, node: int, call: Call) -> bool:
        return self.forwarder is not None and self.forwarder.send(route, node, call)

    def _cancel(self, route: Route, call: Call, error: bool) -> bool:
        return self.forwarder is not None and self.forwarder.cancel(route, call, error=error)

    def _forget(self, calls: set[Call]) -> None:
        if self.forwarder is not None:
            self.forwarder.forget(calls)

    def shard_changed(self, shard: Shard) -> None:
        """Its readiness, its leader or its list of calls to be done again changed."""
        route = self.routes[shard.number]
        route.here = None  # until update has looked
        self.hot.clear()
        route.leader_changed()
        self._dirty_routes.add(route)

    def shard_dirty(self, shard: Shard) -> None:
        """It has something to flush at the end of the turn."""
        self._dirty_shards.add(shard)

    def link_opened(self) -> None:
        """Another node can be reached (again)."""
        for route in self.routes.values():
            route.leader_changed()
            self._dirty_routes.add(route)

    def lease_until_us(self) -> int:
        """Until when this node surely leads every group that is ready here, on boot_time_us."""
        return min(
            (route.here.read_lease_until_us() for route in self.routes.values() if route.here is not None),
            default=0,
        )

    def run(self) -> None:
        """Drain, propose, and send."""
        for _ in range(rounds_max):
            if not self._dirty_routes and not self._dirty_shards:
                break
            while self._dirty_shards:
                self._dirty_shards.pop().flush()
            if self._dirty_routes:
                routes = list(self._dirty_routes)
                self._dirty_routes.clear()
                for route in routes:
                    route.update()
        if self.forwarder is not None:
            self.forwarder.flush()

    def check_deadlines(self) -> None:
        """Now and then: give up on what has waited too long, try again what was refused."""
        if self.forwarder is not None:
            self.forwarder.settle(self._clock.steady_s)
        for route in self.routes.values():
            route.check_deadlines()
            if route.shard is not None:
                route.shard.tidy()
            if self.forwarder is not None and route.shard is not None and route.shard.is_full:
                self.forwarder.visits.tell_busy(route.group)
