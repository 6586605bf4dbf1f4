"""The tips of COMMAND INFO: to which nodes a cluster's client is to send a command, what it makes of their replies,
and whether the same command says the same twice.

What a node answers for all groups, or does for all nodes (DBSIZE, KEYS, SCAN, FUNCTION LOAD), has no policy here,
though Redis has one: a client that sent it to every node would count things twice.

To add one: the command's name in the line of its tips.
"""

from server.commands.table import SPREAD_KEYS, Command, Join

_JOINED = {
    Join.SUM: ["response_policy:agg_sum"],
    Join.FIRST: ["response_policy:all_succeeded"],
    Join.ORDER: [],
}
"""Of commands whose keys may be in several groups."""

_TIPS = {
    "nondeterministic_output": """
        client|info client|list cluster|bumpepoch cluster|count-failure-reports cluster|getkeysinslot cluster|info
        cluster|links cluster|myshardid cluster|nodes cluster|replicas cluster|shards cluster|slaves cluster|slots
        dump hrandfield hscan lastsave migrate object|encoding object|freq object|idletime object|refcount pttl
        randomkey scan spop srandmember sscan time ttl xadd xautoclaim xclaim xinfo|consumers xpending xtrim
        zrandmember zscan""",
    "nondeterministic_output_order": """
        command command|docs command|info command|list function|list hgetall hkeys hvals keys module|list sdiff sinter
        smembers sunion""",
    "nondeterministic_output request_policy:all_nodes response_policy:special": """
        latency|doctor latency|graph latency|histogram latency|history latency|latest""",
    "nondeterministic_output request_policy:all_shards": "cluster|slot-stats",
    "nondeterministic_output request_policy:all_shards response_policy:special": """
        function|stats info memory|doctor memory|malloc-stats memory|stats""",
    "nondeterministic_output request_policy:special response_policy:special": "clusterscan",
    "request_policy:all_nodes nondeterministic_output": "commandlog|get slowlog|get",
    "request_policy:all_nodes response_policy:agg_sum": "latency|reset",
    "request_policy:all_nodes response_policy:agg_sum nondeterministic_output": "commandlog|len slowlog|len",
    "request_policy:all_nodes response_policy:all_succeeded": """
        acl|deluser acl|save acl|setuser client|setinfo client|setname commandlog|reset config|resetstat config|rewrite
        config|set script|flush script|load slowlog|reset""",
    "request_policy:all_shards response_policy:agg_logical_and": "script|exists",
    "request_policy:all_shards response_policy:agg_min": "wait waitaof",
    "request_policy:all_shards response_policy:all_succeeded": "memory|purge ping",
    "request_policy:all_shards response_policy:one_succeeded": "function|kill script|kill",
    "request_policy:multi_shard response_policy:all_succeeded": "mset msetex",
}

_TIPS_OF = {name: tips.split() for tips, names in _TIPS.items() for name in names.split()}


def tips_of(row: Command) -> list[bytes]:
    """The tips of a command."""
    if row.where is SPREAD_KEYS:
        tips = ["request_policy:multi_shard", *_JOINED[row.join]]
    else:
        tips = _TIPS_OF.get(row.name, [])
    return [tip.encode() for tip in tips]
