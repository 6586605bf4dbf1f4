"""How commands became what they are: the history of COMMAND DOCS, and which of them nobody should begin to use.

Versions before 8 are Redis's, whose commands these are; from 8 on they are Valkey's. To add a change: its version, what
it was, and the commands that it is about.
"""

import re
from functools import cache

SYSTEM = frozenset(("cluster|syncslots", "debug", "pfdebug", "pfselftest", "replconf", "restore-asking"))
"""For servers and their tests alone."""
REPLACED = {"cluster|slaves": (b"5.0.0", b"`CLUSTER REPLICAS`"), "slaveof": (b"5.0.0", b"`REPLICAOF`")}
"""Since when there is something better, and what."""

_CHANGES = """
2.0.0 `WITHSCORES`. | zrangebyscore
2.1.6 A limit may be exclusive. | zrevrangebyscore
2.4.0 Takes several elements. | hdel lpush rpush sadd srem zadd zrem
2.6.0 `count`. | srandmember
2.6.12 `EX`, `PX`, `NX` and `XX`. | set
2.8.0 -2 for a key that is missing. | pttl ttl
2.8.12 The field `id`. | client|list
2.8.12 Filters. | client|kill
2.8.12 The filter `ID`. | client|kill
3.0.0 `COPY` and `REPLACE`. | migrate
3.0.0 `REPLACE`. | restore restore-asking
3.0.2 `XX`, `NX`, `CH` and `INCR`. | zadd
3.0.3 Takes several keys. | exists
3.0.6 `KEYS`. | migrate
3.2.0 A key may get the name that it has. | renamenx
3.2.0 The type `master`. | client|kill
3.2.0 `count`. | spop
3.2.2 `SCHEDULE`. | bgsave
4.0.0 A peer's port can be told. | cluster|meet
4.0.0 The client's address and name. | slowlog|get
4.0.0 The ids of nodes. | cluster|slots
4.0.0 Takes several elements. | lpushx rpushx
4.0.0 Takes several fields. | hset
4.0.0 `ASYNC`. | flushall flushdb
4.0.7 `AUTH`. | migrate
5.0.0 The type `replica`, which was `slave`. | client|kill
5.0.0 The filter `TYPE`. | client|list
5.0.0 `ABSTTL`. | restore restore-asking
5.0.0 `IDLETIME` and `FREQ`. | restore restore-asking
6.0.0 A user's name. | auth
6.0.0 The field `user`. | client|list
6.0.0 The timeout may be a fraction. | blpop brpop brpoplpush bzpopmax bzpopmin
6.0.0 `AUTH2`. | migrate
6.0.0 `FULL`. | xinfo|stream
6.0.0 `KEEPTTL`. | set
6.0.0 `TYPE`. | scan
6.2.0 Patterns of channels. | acl|getuser acl|setuser
6.2.0 Ranges may be exclusive. | xrange xrevrange
6.2.0 The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and the filter `ID`. | client|list
6.2.0 The filter `LADDR`. | client|kill
6.2.0 Without arguments it tells of the connection. | hello
6.2.0 Writes alone may be paused. | client|pause
6.2.0 `ANY`. | georadius georadius_ro georadiusbymember georadiusbymember_ro
6.2.0 `ASYNC` and `SYNC`. | script|flush
6.2.0 `CH`, `NX` and `XX`. | geoadd
6.2.0 `GET`, `EXAT` and `PXAT`. | set
6.2.0 `GT` and `LT`. | zadd
6.2.0 `IDLE`, and ranges may be exclusive. | xpending
6.2.0 `MINID` and `LIMIT`. | xtrim
6.2.0 `NOMKSTREAM`, `MINID` and `LIMIT`. | xadd
6.2.0 `REV`, `BYSCORE`, `BYLEX` and `LIMIT`. | zrange
6.2.0 `SYNC`. | flushall flushdb
6.2.0 `count`. | lpop rpop
7.0.0 How a node can be reached otherwise. | cluster|slots
7.0.0 Ids that have no number behind the time: `<ms>-*`. | xadd
7.0.0 Selectors, and permissions for reading or writing keys. | acl|setuser
7.0.0 Selectors; keys and channels as the rules have them. | acl|getuser
7.0.0 Takes several parameters. | config|set
7.0.0 Takes several patterns. | config|get
7.0.0 Takes several sections. | info
7.0.0 The fields `entries-read` and `lag`. | xinfo|groups
7.0.0 The fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag`. \
 | xinfo|stream
7.0.0 The fields `resp`, `multi-mem`, `rbs` and `rbp`. | client|list
7.0.0 The ids of entries that were deleted. | xautoclaim
7.0.0 Units may be in capitals. | georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore
7.0.0 Without arguments it tells of all commands. | command|info
7.0.0 `BYTE` and `BIT`. | bitcount bitpos
7.0.0 `ENTRIESADDED` and `MAXDELETEDID`. | xsetid
7.0.0 `ENTRIESREAD`. | xgroup|create xgroup|setid
7.0.0 `NOW`, `FORCE` and `ABORT`. | shutdown
7.0.0 `NX` together with `GET`. | set
7.0.0 `NX`, `XX`, `GT` and `LT`. | expire expireat pexpire pexpireat
7.0.3 The field `ssub`. | client|list
7.2.0 The field `active-time`; `seen-time` means any attempt. | xinfo|stream
7.2.0 The field `inactive`; `idle` means any attempt. | xinfo|consumers
7.2.0 The id of an entry, and when it was made and changed. | acl|log
7.2.0 `WITHSCORE`. | zrank zrevrank
8.0.0 The end may be left out. | bitcount
8.0.0 The filter `MAXAGE`. | client|kill
8.0.0 The type `primary`, which was `master`. | client|kill client|list
8.0.0 `NOSCORES`. | zscan
8.0.0 `TIMEOUT`. | cluster|setslot
8.1.0 The availability zone, where there is one. | hello
8.1.0 The filter `ID` takes several. | client|kill
8.1.0 The filters `USER`, `ADDR`, `LADDR`, `SKIPME` and `MAXAGE`. | client|list
8.1.0 `CANCEL`. | bgsave
8.1.0 `IFEQ`. | set
9.0.0 A node that is marked as failed is reported no more. | cluster|count-failure-reports
9.0.0 The filters `NAME`, `IDLE`, `FLAGS`, `LIB-NAME`, `LIB-VER`, `DB`, `CAPA` and `IP`, and filters that begin with \
`NOT-`. | client|kill client|list
9.0.0 `BYPOLYGON`. | geosearch geosearchstore
9.0.0 `NO ONE`. | cluster|replicate
9.0.0 `SAFE` and `FAILOVER`. | shutdown
9.1.0 Rules for databases. | acl|getuser acl|setuser
9.1.0 The availability zone. | cluster|slots
9.1.0 The id of a shard, and the availability zone. | cluster|shards
"""
_CHANGE = re.compile(r"(\S+) (.+?) *\| (.+)")


@cache
def _by_name() -> dict[str, list[list[bytes]]]:
    found: dict[str, list[list[bytes]]] = {}
    for version, text, names in _CHANGE.findall(_CHANGES):
        for name in names.split():
            found.setdefault(name, []).append([version.encode(), text.encode()])
    return found


def history_of(name: str) -> list[list[bytes]]:
    """(version, change) of each change to a command after its first version, the oldest first."""
    return _by_name().get(name, [])
