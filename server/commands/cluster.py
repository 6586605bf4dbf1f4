"""CLUSTER, READONLY, READWRITE, ASKING: the shard groups as Redis Cluster clients want to see them.

How groups and leaders become masters, slaves and slots is in server/cluster/roles.py. What changes the topology by
hand is refused: the config file fixes it, and leaders are elected. CLUSTER REBUILD is ours alone: the steps of
`redraft rebuild` on one node, see server/cluster/membership.py.
"""

from typing import Any

import hiredis
import msgspec

from resp.values import OK, Verbatim
from server.cluster.membership import RebuildRefused
from server.cluster.roles import Roles, shard_id
from server.commands.arguments import integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    FAST,
    LOADING,
    NODE,
    STALE,
    Args,
    Flag,
    Handler,
    Reply,
    command,
    container,
)
from server.errors import SYNTAX, CommandError
from server.keyspace.slots import SLOTS, key_slot

DISABLED = b"ERR This instance has cluster support disabled"
FIXED_TOPOLOGY = (
    b"ERR CLUSTER %b is not supported: the config file fixes nodes and slots, leaders are elected; "
    b"see CLUSTER SHARDS for what is"
)
_READ = LOADING | STALE
_PER_NODE = "O(N) where N is the total number of cluster nodes"
_PER_GROUP = "O(N) where N is the number of shard groups"


def _roles(context: Context) -> Roles:
    """The roles now; raises CommandError on a node that stands alone."""
    check_clustered(context)
    return Roles(context.node.topology, context.node.group_infos())


def check_clustered(context: Context) -> None:
    """Raises CommandError on a node that stands alone."""
    if not context.node.topology.clustered:
        raise CommandError(DISABLED)


def _connected(context: Context) -> set[int]:
    """This node and those it has a connection to."""
    return {context.node.topology.me, *context.node.reachable()}


def cluster_state(context: Context) -> dict[str, Any]:
    """The fields of CLUSTER INFO. The node must be part of a cluster."""
    topology, roles = context.node.topology, _roles(context)
    assigned = roles.assigned_slots()
    unreachable = len(topology.nodes) - len(_connected(context))
    return {
        "cluster_state": "ok" if assigned == SLOTS else "fail",
        "cluster_slots_assigned": SLOTS,
        "cluster_slots_ok": assigned,
        "cluster_slots_pfail": SLOTS - assigned,
        "cluster_slots_fail": 0,
        "cluster_nodes_pfail": unreachable,
        "cluster_nodes_fail": 0,
        "cluster_voting_nodes_pfail": unreachable,
        "cluster_voting_nodes_fail": 0,
        "cluster_known_nodes": len(topology.nodes),
        "cluster_size": len(set(roles.leaders.values())),
        "cluster_current_epoch": roles.current_epoch,
        "cluster_my_epoch": roles.epochs[topology.me],
        "cluster_stats_messages_sent": 0,
        "cluster_stats_messages_received": 0,
        "total_cluster_links_buffer_limit_exceeded": 0,
    }


container("cluster", since="3.0.0", group="cluster", summary="A container for Cluster commands")


@command("cluster|info", arity=2, flags=_READ, where=NODE, since="3.0.0", group="cluster")
def cluster_info(context: Context, args: Args) -> Reply:
    """Returns information about the state of a node."""
    state = cluster_state(context)
    return Verbatim("".join(f"{name}:{value}\r\n" for name, value in state.items()).encode())


def _node_line(context: Context, roles: Roles, number: int) -> str:
    topology = context.node.topology
    address = topology.nodes[number]
    master = roles.master_of(number)
    flags = ["myself"] if number == topology.me else []
    flags.append("master" if master is None else "slave")
    connected = number in _connected(context)
    if not connected:
        flags.append("fail?")
    ranges = "".join(
        f" {first}-{last}" if first != last else f" {first}" for first, last in roles.slots(number)
    )
    return (
        f"{address.cluster_id} {address.host}:{address.port}@{address.peer_port} {','.join(flags)} "
        f"{'-' if master is None else topology.nodes[master].cluster_id} 0 0 "
        f"{roles.epochs[number if master is None else master]} "
        f"{'connected' if connected else 'disconnected'}{ranges}"
    )


@command(
    "cluster|nodes", arity=2, flags=_READ, where=NODE, since="3.0.0", group="cluster", complexity=_PER_NODE
)
def cluster_nodes(context: Context, args: Args) -> Reply:
    """Returns the cluster configuration for a node."""
    roles = _roles(context)
    lines = [_node_line(context, roles, number) + "\n" for number in context.node.topology.nodes]
    return Verbatim("".join(lines).encode())


@command(
    "cluster|slots", arity=2, flags=_READ, where=NODE, since="3.0.0", group="cluster", complexity=_PER_NODE
)
def cluster_slots(context: Context, args: Args) -> Reply:
    """Returns the mapping of cluster slots to nodes."""
    # As replicas only nodes that lead nothing: clients take a node for a master or a slave as a whole, and one that
    # reads from slaves would ask a master of other slots without READONLY, and follow its MOVED in circles.
    topology, roles = context.node.topology, _roles(context)
    masters = set(roles.leaders.values())
    reply = []
    for number, leader in sorted(roles.leaders.items()):
        group = topology.groups[number]
        entry: list[Any] = [group.first_slot, group.last_slot]
        for replica in (leader, *(one for one in group.replicas if one not in masters)):
            address = topology.nodes[replica]
            entry.append([address.host.encode(), address.port, address.cluster_id.encode(), []])
        reply.append(entry)
    return reply


@command(
    "cluster|shards", arity=2, flags=_READ, where=NODE, since="7.0.0", group="cluster", complexity=_PER_NODE
)
def cluster_shards(context: Context, args: Args) -> Reply:
    """Returns the mapping of cluster slots to shards."""
    topology, roles = context.node.topology, _roles(context)
    infos = {info.group: info for info in context.node.group_infos()}
    connected = _connected(context)
    shards = []
    for number in topology.data_groups:
        group, info = topology.groups[number], infos.get(number)
        matches = {node: match for node, match, _, _ in info.peers} if info is not None else {}
        nodes = []
        for replica in group.replicas:
            address = topology.nodes[replica]
            offset = matches.get(replica, info.applied if info is not None and replica == topology.me else 0)
            nodes.append(
                {
                    b"id": address.cluster_id.encode(),
                    b"port": address.port,
                    b"ip": address.host.encode(),
                    b"endpoint": address.host.encode(),
                    b"role": b"master" if roles.leaders.get(number) == replica else b"replica",
                    b"replication-offset": offset,
                    b"health": b"online" if replica in connected else b"fail",
                }
            )
        shards.append(
            {
                b"slots": [group.first_slot, group.last_slot],
                b"nodes": nodes,
                b"id": shard_id(topology.cluster, number).encode(),
            }
        )
    return shards


@command("cluster|myid", arity=2, flags=_READ, where=NODE, since="3.0.0", group="cluster")
def cluster_myid(context: Context, args: Args) -> Reply:
    """Returns the ID of a node."""
    check_clustered(context)
    topology = context.node.topology
    return topology.nodes[topology.me].cluster_id.encode()


@command("cluster|myshardid", arity=2, flags=_READ, where=NODE, since="7.2.0", group="cluster")
def cluster_myshardid(context: Context, args: Args) -> Reply:
    """Returns the shard ID of a node."""
    topology, roles = context.node.topology, _roles(context)
    led = [number for number, leader in roles.leaders.items() if leader == topology.me]
    held = [number for number in topology.data_groups if topology.me in topology.groups[number].replicas]
    return shard_id(topology.cluster, min(led or held or [0])).encode()


@command(
    "cluster|keyslot",
    arity=3,
    flags=STALE,
    where=NODE,
    since="3.0.0",
    group="cluster",
    complexity="O(N) where N is the number of bytes in the key",
)
def cluster_keyslot(context: Context, args: Args) -> Reply:
    """Returns the hash slot for a key."""
    return key_slot(args[2])


async def ask_slot(context: Context, slot: int, request: list[bytes]) -> Reply:
    """Put an internal command about `slot` to the leader of its group."""
    reply = await context.node.call(context.node.topology.slot_groups[slot], context.session.db, request)
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(str(reply).encode())
    return reply


@command("cluster|countkeysinslot", arity=3, flags=STALE, where=NODE, since="3.0.0", group="cluster")
async def cluster_countkeysinslot(context: Context, args: Args) -> Reply:
    """Returns the number of keys in a hash slot."""
    check_clustered(context)
    slot = integer(args[2])
    if not 0 <= slot < SLOTS:
        raise CommandError(b"ERR Invalid slot")
    return await ask_slot(context, slot, [b"_countslot", b"%d" % slot])


@command(
    "cluster|getkeysinslot",
    arity=4,
    flags=STALE,
    where=NODE,
    since="3.0.0",
    group="cluster",
    complexity="O(N) where N is the number of requested keys",
)
async def cluster_getkeysinslot(context: Context, args: Args) -> Reply:
    """Returns the key names in a hash slot."""
    check_clustered(context)
    slot, count = integer(args[2]), integer(args[3])
    if not 0 <= slot < SLOTS or count < 0:
        raise CommandError(b"ERR Invalid slot or number of keys")
    return await ask_slot(context, slot, [b"_slotkeys", b"%d" % slot, b"%d" % count])


@command(
    "cluster|links", arity=2, flags=STALE, where=NODE, since="7.0.0", group="cluster", complexity=_PER_NODE
)
def cluster_links(context: Context, args: Args) -> Reply:
    """Returns a list of all TCP links to and from peer nodes."""
    check_clustered(context)
    return [
        {
            b"direction": b"to" if dialed else b"from",
            b"node": context.node.topology.nodes[number].cluster_id.encode(),
            b"create-time": 0,
            b"events": b"rw" if waiting_bytes else b"r",
            b"send-buffer-allocated": waiting_bytes,
            b"send-buffer-used": waiting_bytes,
        }
        for number, dialed, waiting_bytes in context.node.links()
    ]


def _node_number(context: Context, cluster_id: bytes) -> int:
    for number, address in context.node.topology.nodes.items():
        if address.cluster_id.encode() == cluster_id:
            return number
    raise CommandError(b"ERR Unknown node %b" % cluster_id)


def cluster_replicas(context: Context, args: Args) -> Reply:
    """Lists the replica nodes of a primary node."""
    roles = _roles(context)
    master = _node_number(context, args[2])
    if roles.master_of(master) is not None:
        raise CommandError(b"ERR The specified node is not a master")
    return [
        _node_line(context, roles, number).encode()
        for number in context.node.topology.nodes
        if roles.master_of(number) == master
    ]


for _name, _since in (("replicas", "5.0.0"), ("slaves", "3.0.0")):
    command(f"cluster|{_name}", arity=3, flags=ADMIN | STALE, where=NODE, since=_since, group="cluster")(
        cluster_replicas
    )


@command(
    "cluster|count-failure-reports", arity=3, flags=ADMIN | STALE, where=NODE, since="3.0.0", group="cluster"
)
def cluster_count_failure_reports(context: Context, args: Args) -> Reply:
    """Returns the number of active failure reports for a node."""
    check_clustered(context)
    _node_number(context, args[2])
    return 0


def _refuse(name: str) -> Handler:
    def refused(context: Context, args: Args) -> Reply:
        check_clustered(context)
        raise CommandError(FIXED_TOPOLOGY % name.upper().encode())

    return refused


_CHANGE = ADMIN | STALE | Flag.NO_ASYNC_LOADING
for _name, _arity, _since, _flags, _summary in (
    ("addslots", -3, "3.0.0", _CHANGE, "Assigns new hash slots to a node"),
    ("addslotsrange", -4, "7.0.0", _CHANGE, "Assigns new hash slot ranges to a node"),
    ("bumpepoch", 2, "3.0.0", _CHANGE, "Advances the cluster config epoch"),
    ("delslots", -3, "3.0.0", _CHANGE, "Sets hash slots as unbound for a node"),
    ("delslotsrange", -4, "7.0.0", _CHANGE, "Sets hash slot ranges as unbound for a node"),
    ("failover", -2, "3.0.0", _CHANGE, "Forces a replica to perform a manual failover of its primary"),
    ("flushslots", 2, "3.0.0", _CHANGE, "Deletes all slots information from a node"),
    ("forget", 3, "3.0.0", _CHANGE, "Removes a node from the nodes table"),
    ("migrateslots", -4, "9.0.0", _CHANGE, "Migrate the given slots from this node to the specified nodes"),
    ("syncslots", -3, "9.0.0", _CHANGE, "A container for internal slot migration commands"),
    ("meet", -4, "3.0.0", _CHANGE, "Forces a node to handshake with another node"),
    ("replicate", -3, "3.0.0", _CHANGE, "Configures a node as replica of a primary node"),
    ("reset", -2, "3.0.0", ADMIN | STALE | Flag.NOSCRIPT, "Resets a node"),
    ("saveconfig", 2, "3.0.0", _CHANGE, "Forces a node to save the cluster configuration to disk"),
    ("set-config-epoch", 3, "3.0.0", _CHANGE, "Sets the configuration epoch for a new node"),
    ("setslot", -4, "3.0.0", _CHANGE, "Binds a hash slot to a node"),
):
    command(
        f"cluster|{_name}",
        arity=_arity,
        flags=_flags,
        where=NODE,
        since=_since,
        group="cluster",
        summary=_summary,
    )(_refuse(_name))


@command("cluster|rebuild", arity=4, flags=ADMIN | STALE, where=NODE, group="cluster", complexity=_PER_GROUP)
async def cluster_rebuild(context: Context, args: Args) -> Reply:
    """Takes one step of rebuilding a node whose data is lost."""
    membership = context.node.membership
    if membership is None:
        raise CommandError(DISABLED)
    name = args[3].decode("utf-8", "replace")
    numbers = [address.number for address in context.node.topology.nodes.values() if address.name == name]
    if not numbers:
        raise CommandError(b"ERR Unknown node %b" % args[3])
    try:
        match args[2].lower():
            case b"check":
                report = membership.check(numbers[0])
            case b"fence":
                report = await membership.fence(numbers[0])
            case b"remove":
                report = membership.remove(numbers[0])
            case b"accept":
                report = await membership.accept(numbers[0])
            case _:
                raise CommandError(SYNTAX)
    except RebuildRefused as error:
        raise CommandError(b"ERR %b" % str(error).encode()) from error
    return msgspec.json.encode(report)


@command("cluster|help", arity=2, flags=_READ, where=NODE, since="5.0.0", group="cluster")
def cluster_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    check_clustered(context)
    return help_reply(b"CLUSTER", _HELP)


_ROUTING = FAST | LOADING | STALE


@command(
    "readonly", arity=1, flags=_ROUTING, where=NODE, since="3.0.0", group="cluster", categories="connection"
)
def readonly(context: Context, args: Args) -> Reply:
    """Enables read-only queries for a connection to a replica node."""
    context.session.readonly = True
    return OK


@command(
    "readwrite", arity=1, flags=_ROUTING, where=NODE, since="3.0.0", group="cluster", categories="connection"
)
def readwrite(context: Context, args: Args) -> Reply:
    """Enables read-write queries for a connection to a replica node."""
    context.session.readonly = False
    return OK


@command("asking", arity=1, flags=FAST, where=NODE, since="3.0.0", group="cluster", categories="connection")
def asking(context: Context, args: Args) -> Reply:
    """Signals that a cluster client is following an -ASK redirect."""
    check_clustered(context)
    context.session.asking = True
    return OK


_HELP = """
COUNTKEYSINSLOT <slot>
    Return the number of keys in <slot>.
FLUSHSLOT <slot> [ASYNC|SYNC]
    Delete all keys of <slot>.
GETKEYSINSLOT <slot> <count>
    Return key names in a slot.
INFO
    Return information about the cluster.
KEYSLOT <key>
    Return the hash slot for <key>.
MYID
    Return the node id.
MYSHARDID
    Return the id of the lowest shard that the node leads or, when it leads none, follows.
NODES
    Return cluster configuration seen by node. Output format:
    <id> <ip:port@bus-port[,hostname]> <flags> <primary> <pings> <pongs> <epoch> <link> <slot> ...
REBUILD CHECK|FENCE|REMOVE|ACCEPT <node-name>
    Take one step of rebuilding a node whose data is lost. `redraft rebuild` takes them all, in their order.
REPLICAS <node-id>
    Return <node-id> replicas.
SLOTS
    Return information about slots range mappings. Each range is made of:
    start, end, primary and replicas IP addresses, ports and ids
SLOT-STATS SLOTSRANGE <first> <last> | ORDERBY key-count [LIMIT <n>] [ASC|DESC]
    Return slot usage statistics for slots that the current node leads.
SHARDS
    Return information about slot range mappings and the nodes associated with them.
LINKS
    Return information about all network links between this node and its peers.
    Output format is an array where each array element is a map containing attributes of a link
"""
