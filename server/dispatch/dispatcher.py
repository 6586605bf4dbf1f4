"""One request, from its arguments to whoever answers it.

`execute` returns the encoded reply when it is there at once, or None when a Slot of the connection will be
filled. The first lines of it are the hot path: look up, check, slot, route, evaluate.

What is checked, in Redis's order: the command exists, its arity, and for whom there are guards what the gate
asks (gate.py); then who runs it (`where` in the command table).
"""

from collections.abc import Callable
from time import perf_counter_ns
from types import CoroutineType

from resp import Error, encode
from server.access.context import Node
from server.cluster.topology import Topology
from server.commands.table import COMMANDS, PLAIN, SHARD, SPREAD_KEYS, Args, Command, Flag, lookup
from server.dispatch.asking import Asker
from server.dispatch.blocking import BlockedSlot
from server.dispatch.caching import GO_ON, Caching
from server.dispatch.connection import Connection
from server.dispatch.gate import Gate
from server.dispatch.hot import HotAnswers, hot_ns_max
from server.dispatch.node_commands import NodeCommands
from server.dispatch.observers import Observers
from server.dispatch.permissions import Permissions
from server.dispatch.places import Places
from server.dispatch.texts import Texts
from server.dispatch.transactions import Transactions
from server.dispatch.wandering import names_no_keys, wandering
from server.errors import CROSS_SLOT, INTERNAL, NO_AUTH, CommandError
from server.keyspace.hot import part_bytes_max
from server.keyspace.slots import key_slot
from server.session import Session
from server.shard.call import Call
from server.shard.clock import TurnClock
from server.shard.gather import Gather, split_by_group
from server.shard.route import Route
from server.shard.router import Router
from server.shard.shard import Shard
from server.shard.work import Unfinished

shown_bytes_max = 128
"""So much of a request stands in an error text."""


def _shown(argument: bytes, bytes_max: int = shown_bytes_max) -> bytes:
    """An argument as it stands in an error text: cut, and as in Redis up to its first NUL."""
    return argument.split(b"\0", 1)[0][:bytes_max]


class Dispatcher:
    """Takes requests of all connections of a node."""

    __slots__ = (
        "_get",
        "_hot_replies",
        "_node",
        "_node_commands",
        "_permissions",
        "_places",
        "_routes",
        "_sent_on",
        "_slot_routes",
        "_stats",
        "_texts",
        "_transactions",
        "asker",
        "attentive",
        "gate",
        "hot",
        "observers",
    )

    def __init__(
        self,
        node: Node,
        topology: Topology,
        router: Router,
        clock: TurnClock,
        *,
        databases: int,
        end_turn: Callable[[], None],
    ) -> None:
        """`end_turn`: carries out what a turn has gathered; whoever submits from a task calls it."""
        self._node = node
        self._stats = node.stats
        self._get = COMMANDS[b"get"]
        self._routes = router.routes
        self._places = places = Places(topology, router.routes)
        self._slot_routes = places.slot_routes
        self._hot_replies = router.hot
        self.hot = HotAnswers(router, clock)
        self.asker = Asker(node, topology, router, end_turn)
        self.observers = Observers(node)
        self._permissions = permissions = Permissions(node)
        self._node_commands = NodeCommands(node, self.asker)
        self._texts = Texts(places, self.asker, permissions, node.functions, clock, end_turn)
        self._transactions = Transactions(
            places,
            self._node_commands,
            self._texts,
            permissions,
            self.observers,
            databases=databases,
            end_turn=end_turn,
        )
        self.gate = Gate(
            node,
            self._texts,
            permissions,
            self.observers,
            self._transactions,
            Caching(places, node.tracking, self.run_here),
            is_cluster=places.is_cluster,
            run_quietly=self._run_quietly,
        )
        self.attentive = False
        """Every command goes through the gate, or is looked at afterwards."""
        self._sent_on = False
        """The command is done elsewhere, or later: how long it took is told then."""
        self.configure()

    # -- the hot path ----------------------------------------------------------------------------------------

    def execute(self, connection: Connection, args: Args) -> bytes | None:
        """Run one request of `connection`. The reply, or None when it comes later."""
        session = connection.session
        found = PLAIN.get(args[0])
        if found is None:
            resolved = self._resolve(session, args)
            if isinstance(resolved, bytes):
                return resolved
            found = resolved
        row = found
        count = len(args)
        if (row.arity > 0 and count != row.arity) or count < -row.arity:
            return self._wrong_arity(session, row)
        if row.in_turn and session.queue is None and connection.hold_back(args):
            return None
        if session.guards or self.attentive:
            reply = self.gate.admit(connection, row, args)
            if reply is not GO_ON:
                return reply
        row.calls += 1
        session.last_command = row.name
        began_ns = perf_counter_ns()
        if row.single_key:
            route = self._slot_routes[key_slot(args[1])]
            shard = route.here
            if shard is not None:
                try:
                    reply = shard.evaluate(row, args, session.db, session.protocol)
                except Unfinished:
                    shard.worker.adopt(Call(row, args, session.db, session.protocol, connection.defer(args)))
                    return None
                elapsed_ns = perf_counter_ns() - began_ns
                row.elapsed_ns += elapsed_ns
                row.buckets[(elapsed_ns // 1000).bit_length()] += 1
                if elapsed_ns >= self.observers.slow_ns:
                    self.observers.was_slow(row, args, session, elapsed_ns // 1000)
                if shard.is_free():
                    if reply[0] == 45:
                        self._stats.count_error(reply)
                    elif row is self._get:
                        shard.settle(args[1], reply)
                        self.hot.turn = 0
                    elif row.kept:
                        shard.settle_part(args, reply)
                        self.hot.turn = 0
                    return reply
                shard.hold(Call(row, args, session.db, session.protocol, connection.defer(args)), reply)
                return None
            return self._elsewhere(connection, route, row, args, key_slot(args[1]))
        run = self._run_node if row.is_node else self._run
        reply_or_later = run(connection, row, args)
        self.observers.took(row, args, session, began_ns, told_later=self._sent_on)
        self._sent_on = False
        return reply_or_later

    # -- what is rarer ---------------------------------------------------------------------------------------

    def _resolve(self, session: Session, args: Args) -> Command | bytes:
        """The command of a request, or the encoded error."""
        row = lookup(args)
        if not session.authenticated and (row is None or row.is_container or not row.open):
            return self._error(session, NO_AUTH)
        if row is None or not row.open:
            rest = b""
            for argument in args[1:]:
                if len(rest) >= shown_bytes_max:
                    break
                rest += b"'" + _shown(argument, shown_bytes_max - len(rest)) + b"' "
            text = b"ERR unknown command '" + _shown(args[0]) + b"', with args beginning with: " + rest
        elif row.is_container:
            if len(args) < 2:
                return self._wrong_arity(session, row)
            name = row.name.upper().encode()
            text = b"ERR unknown subcommand '" + _shown(args[1]) + b"'. Try " + name + b" HELP."
        else:
            return row
        if session.queue is not None:
            session.queue_broken = True
        return self._error(session, text)

    def _wrong_arity(self, session: Session, row: Command) -> bytes:
        if not session.authenticated and not row.flags & Flag.NO_AUTH:
            return self.gate.refuse(session, row, NO_AUTH)
        text = b"ERR wrong number of arguments for '" + row.error_name + b"' command"
        return self.gate.refuse(session, row, text)

    def _error(self, session: Session, text: bytes) -> bytes:
        return self._failed(encode(Error(text), session.protocol))

    def _failed(self, reply: bytes) -> bytes:
        self._stats.count_error(reply)
        return reply

    def run_here(self, connection: Connection, row: Command, args: Args) -> bytes | None:
        """`execute` from where guards have let the command pass, as a call that says whose it is."""
        row.calls += 1
        connection.session.last_command = row.name
        began_ns = perf_counter_ns()
        reply = self._run(connection, row, args)
        self.observers.took(row, args, connection.session, began_ns, told_later=self._sent_on)
        self._sent_on = False
        return reply

    def _run_quietly(self, connection: Connection, row: Command, args: Args) -> bytes | None:
        """`run_here` of a command that does not use what it reads, as far as that is read here and now."""
        self._hot_replies.quiet = True
        try:
            return self.run_here(connection, row, args)
        finally:
            self._hot_replies.quiet = False

    def _run(self, connection: Connection, row: Command, args: Args) -> bytes | None:
        if row.is_node:
            return self._run_node(connection, row, args)
        session = connection.session
        try:
            if row.needs_text:
                if (busy := self.gate.busy(row)) is not None:
                    return self.gate.refuse(session, row, busy)
                ready = self._texts.at_hand(row, args)
                if ready is None:
                    connection.start(
                        self._texts.run(connection, row, args), connection.defer(args), session.protocol
                    )
                    return None
                row, args = ready
            groups = self._places.groups(row, args)
        except CommandError as error:
            if (busy := self.gate.busy(row)) is not None:
                return self.gate.refuse(session, row, busy)
            return self._error(session, error.text)
        first = groups[0]
        if len(groups) > 1 and any(group != first for group in groups):
            if row.where is SHARD:
                return self._error(session, CROSS_SLOT)
            self._spread(connection, row, args, groups)
            return None
        route = self._routes[first]
        shard = route.here
        if shard is None:
            reply = self._elsewhere(connection, route, row, args, self._places.slot_of(row, args, first))
            self._sent_on = reply is None
            return reply
        script = row.group == "scripting" and (self._places.is_cluster or session.tracking is not None)
        if row.blocks or session.permissions is not None or session.origin or script:
            self._submit(connection, route, row, args)
            self._sent_on = route.here is None  # it takes long: then it is at work
            return None
        return self._evaluate(connection, shard, row, args)

    def _evaluate(self, connection: Connection, shard: Shard, row: Command, args: Args) -> bytes | None:
        """As in `execute`: where no call has to say whose it is, none is made unless the reply has to wait."""
        session = connection.session
        try:
            reply = shard.evaluate_for_all(row, args, session.db, session.protocol)
        except Unfinished:
            shard.worker.adopt(Call(row, args, session.db, session.protocol, connection.defer(args)))
            self._sent_on = True
            return None
        if shard.is_free():
            return self._failed(reply) if reply[0] == 45 else reply
        shard.hold(Call(row, args, session.db, session.protocol, connection.defer(args)), reply)
        return None

    def _submit(self, connection: Connection, route: Route, row: Command, args: Args) -> None:
        session = connection.session
        if row.blocks:
            slot = BlockedSlot(connection, route, connection.defer(args), self._permissions.refusal)
            slot.submit(Call(row, args, session.db, session.protocol, slot, origin=session.origin))
        else:
            wanders = (
                row.group == "scripting" and len(self._places.data_groups) > 1 and names_no_keys(row, args)
            )
            reply_slot = (
                wandering(self._texts.run, self._places, connection, args)
                if wanders
                else connection.defer(args)
            )
            call = Call(row, args, session.db, session.protocol, reply_slot, origin=session.origin)
            call.wanders = wanders
            call.caller = self._permissions.caller_of(session, (row,))
            if session.tracking is not None:
                call.notes = session.tracking.notes
            route.submit(call)

    def _elsewhere(
        self, connection: Connection, route: Route, row: Command, args: Args, slot: int
    ) -> bytes | None:
        """The group is not ready here: a replica's answer, MOVED, or the way to its leader."""
        session = connection.session
        by_anybody = session.permissions is None or row.group != "scripting"
        if session.readonly and not row.is_write and by_anybody and route.shard is not None:
            if session.tracking is None:  # or it would be told of a change before this replica has it
                shard = route.shard
                reply = shard.stale_reads.evaluate(shard.group, row, args, session.db, session.protocol)
                if reply is not None:
                    return reply
            # Too old, so the leader is asked for it. A client that wants replicas would follow a MOVED in circles.
        elif self._places.redirects(route):
            row.calls -= 1
            row.rejected_calls += 1
            return self._error(session, self._places.moved(route, slot))
        self._stats.forwarded_commands += 1
        self._submit(connection, route, row, args)
        return None

    def _spread(
        self, connection: Connection, row: Command, args: Args, groups: list[int] | tuple[int, ...]
    ) -> None:
        """One command over several groups."""
        session = connection.session
        places: list[list[int]] | None = None
        if row.where is SPREAD_KEYS:
            requests, places = split_by_group(row, args, list(groups))
        else:
            requests = dict.fromkeys(groups, args)
        gather = Gather(row, places, len(requests), session.protocol, connection.defer(args))
        for number, (group, request) in enumerate(requests.items()):
            part = gather.part(number)
            self._routes[group].submit(Call(row, request, session.db, 2, part, origin=session.origin))

    def _run_node(self, connection: Connection, row: Command, args: Args) -> bytes | None:
        session, nodes = connection.session, self._node_commands
        busy = self.gate.busy(row)
        if busy is not None:
            return self.gate.refuse(session, row, busy)
        if row.name == "exec":
            reply = self._transactions.execute(connection, args)
            if reply is not None and reply[0] == 45:
                row.failed_calls += 1
                self._stats.count_error(reply)
            return reply
        if row.name == "watch":
            return self._transactions.watch(connection, args)
        try:
            value = nodes.value_of(row, nodes.context(connection), args)
        except CommandError as error:
            row.failed_calls += 1
            return self._error(session, error.text)
        except Exception:
            nodes.log_failure(row)
            return self._error(session, INTERNAL)
        if isinstance(value, CoroutineType):
            connection.start(value, connection.defer(args), session.protocol)
            return None
        return encode(value, session.protocol)

    # -- what the node tells ---------------------------------------------------------------------------------

    def configure(self) -> None:
        """The thresholds of slow log, latency monitor and large replies have changed."""
        self.observers.configure()
        self.watch_everything()

    def watch_everything(self) -> None:
        """Look again at what concerns every command."""
        self.attentive = bool(
            self.gate.is_watched()
            or self._node.large_replies.threshold <= part_bytes_max  # replies at hand may be large
            or self.observers.slow_ns <= hot_ns_max  # … or slow
        )

    def pause(self, until_ms: int, writes_only: bool) -> None:
        """CLIENT PAUSE until Unix time `until_ms`; 0 ends it."""
        self.gate.pausing.set(until_ms, writes_only)
        self.watch_everything()
