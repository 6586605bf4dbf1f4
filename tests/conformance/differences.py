"""Where Redraft answers otherwise than Valkey on purpose.

Every entry says which replies, what they are instead, and why. An entry that no longer makes a difference fails the
tests: delete it then.
"""

from typing import NamedTuple


class Difference(NamedTuple):
    """The replies to some requests of some cases."""

    case: str
    """Of the cases whose full name (`file: name`) matches this shell pattern;"""
    request: str
    """to requests that match this one when their words are joined by blanks;"""
    ours: str
    """are this regular expression, searched in the reply as the harness prints it,"""
    reason: str
    """because."""
    server: str = "*"
    """Only of `standalone` or `cluster`."""


DIFFERENCES = [
    Difference(
        "server: CONFIG RESETSTAT and REWRITE",
        "CONFIG REWRITE",
        "^- 'ERR The server is running without a config file'",
        "The Valkey of these tests has a file.",
        "standalone",
    ),
    Difference(
        "server: CONFIG RESETSTAT and REWRITE",
        "CONFIG REWRITE",
        "^- 'ERR The config file belongs to the operator",
        "One file serves every node, so that no node may change it.",
        "cluster",
    ),
    Difference(
        "streams: nodes whose entries were deleted",
        "XINFO STREAM s FULL *",
        "radix-tree-nodes",
        "There is no radix tree, whose inner nodes could be counted.",
    ),
    Difference(
        "server: WAIT without replicas",
        "WAIT *",
        "^: [12]$",
        "A majority has what was acknowledged: at least one node besides the leader.",
        "cluster",
    ),
    Difference(
        "server: what a standalone server says to cluster clients",
        "*",
        "",
        "The cluster is one.",
        "cluster",
    ),
    Difference(
        "operations: what replicates by hand is refused",
        "REPLCONF *",
        "^- 'ERR REPLCONF is not supported",
        "Nobody replicates from here: a stranger that tries is told so at once.",
    ),
    Difference(
        "operations: keys of slots, without a cluster",
        "*",
        "",
        "The cluster is one.",
        "cluster",
    ),
    *(
        Difference(
            f"transactions: {case}",
            "*",
            "",
            "What touches all keys touches all shard groups, and a transaction lives in one.",
            "cluster",
        )
        for case in (
            "reading all keys sees what the transaction wrote",
            "flushdb empties it for the commands after it",
            "swapdb inside of a transaction",
        )
    ),
]
