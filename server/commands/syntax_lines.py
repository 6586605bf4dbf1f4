"""What may stand behind the name of each command: the table of `syntax`, whose head says how to read it.

A line that begins with a blank goes on with the one above it. `@name` stands for what is said of it at the top.
"""

LINES = """
@area [FROMMEMBER member | FROMLONLAT longitude latitude] <BYRADIUS radius @unit | BYBOX width height @unit |
  BYPOLYGON num-vertices <longitude latitude>...>
@expiry EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds
@expiry-condition [NX | XX | GT | LT]
@fields FIELDS numfields field...
@log <SLOW | LARGE-REQUEST | LARGE-REPLY>
@store [STORE key | STOREDIST key]
@trim <MAXLEN | MINID> [= | ~] threshold [LIMIT count]
@unit <M | KM | FT | MI>
@weighted key... [WEIGHTS weight...] [AGGREGATE <SUM | MIN | MAX>]
@with [WITHCOORD] [WITHDIST] [WITHHASH]
acl
acl|cat [category]
acl|deluser username...
acl|dryrun username command [arg...]
acl|genpass [bits]
acl|getuser username
acl|help
acl|list
acl|load
acl|log [count | RESET]
acl|save
acl|setuser username [rule...]
acl|users
acl|whoami
append key value
asking
auth [username] password
bgrewriteaof
bgsave [SCHEDULE | CANCEL]
bitcount key [start:integer [end:integer [BYTE | BIT]]]
bitfield key [GET encoding offset | <[OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value:integer |
  INCRBY encoding offset increment:integer>>]...
bitfield_ro key [GET encoding offset]...
bitop <AND | OR | XOR | NOT> destkey key...
bitpos key bit [start:integer [end:integer [BYTE | BIT]]]
blmove source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout:double
blmpop timeout:double numkeys key... <LEFT | RIGHT> [COUNT count]
blpop key... timeout:double
brpop key... timeout:double
brpoplpush source destination timeout:double
bzmpop timeout:double numkeys key... <MIN | MAX> [COUNT count]
bzpopmax key... timeout:double
bzpopmin key... timeout:double
client
client|caching <YES | NO>
client|capa capability...
client|getname
client|getredir
client|help
client|id
client|import-source <ON | OFF>
client|info
client|kill <ip:port | <[ID client-id...] | [TYPE <NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB>] |
  [USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage] | [NAME name] |
  [IDLE idle] | [FLAGS flags] | [LIB-NAME lib-name] | [LIB-VER lib-ver] | [DB db] | [CAPA capa] | [IP ip] |
  [NOT-TYPE <NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB>] | [NOT-ID not-client-id...] | [NOT-USER
  not-username] | [NOT-ADDR ip:port] | [NOT-LADDR ip:port] | [NOT-NAME not-name] | [NOT-FLAGS not-flags] |
  [NOT-LIB-NAME not-lib-name] | [NOT-LIB-VER not-lib-ver] | [NOT-DB not-db] | [NOT-CAPA not-capa] | [NOT-IP
  not-ip]>...>
client|list [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id...] [USER username] [ADDR ip:port]
  [LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE maxage] [NAME name] [IDLE idle] [FLAGS flags] [LIB-NAME
  lib-name] [LIB-VER lib-ver] [DB db] [CAPA capa] [IP ip] [NOT-TYPE <NORMAL | MASTER | REPLICA | PUBSUB>]
  [NOT-ID not-client-id...] [NOT-USER not-username] [NOT-ADDR ip:port] [NOT-LADDR ip:port] [NOT-NAME not-name]
  [NOT-FLAGS not-flags] [NOT-LIB-NAME not-lib-name] [NOT-LIB-VER not-lib-ver] [NOT-DB not-db] [NOT-CAPA
  not-capa] [NOT-IP not-ip]
client|no-evict <ON | OFF>
client|no-touch <ON | OFF>
client|pause timeout:integer [WRITE | ALL]
client|reply <ON | OFF | SKIP>
client|setinfo <LIB-NAME libname | LIB-VER libver>
client|setname connection-name
client|tracking <ON | OFF> [REDIRECT client-id] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]
client|trackinginfo
client|unblock client-id [TIMEOUT | ERROR]
client|unpause
cluster
cluster|addslots slot...
cluster|addslotsrange <start-slot end-slot>...
cluster|bumpepoch
cluster|cancelslotmigrations
cluster|count-failure-reports node-id
cluster|countkeysinslot slot
cluster|delslots slot...
cluster|delslotsrange <start-slot end-slot>...
cluster|failover [FORCE | TAKEOVER]
cluster|flushslot slot [ASYNC | SYNC]
cluster|flushslots
cluster|forget node-id
cluster|getkeysinslot slot count
cluster|getslotmigrations
cluster|help
cluster|info
cluster|keyslot key:string
cluster|links
cluster|meet ip port [cluster-bus-port]
cluster|migrateslots <SLOTSRANGE <start-slot end-slot>... NODE node-id>...
cluster|myid
cluster|myshardid
cluster|nodes
cluster|rebuild
cluster|replicas node-id
cluster|replicate <node-id | NO ONE>
cluster|reset [HARD | SOFT]
cluster|saveconfig
cluster|set-config-epoch config-epoch
cluster|setslot slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE> [TIMEOUT timeout:integer]
cluster|shards
cluster|slaves node-id
cluster|slot-stats <SLOTSRANGE start-slot end-slot | ORDERBY metric [LIMIT limit] [ASC | DESC]>
cluster|slots
cluster|syncslots
clusterscan cursor:string [MATCH match-pattern] [COUNT count] [TYPE type] [SLOT slot]
command
command|count
command|docs [command-name...]
command|getkeys command [arg...]
command|getkeysandflags command [arg...]
command|help
command|info [command-name...]
command|list [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]
commandlog
commandlog|get count @log
commandlog|help
commandlog|len @log
commandlog|reset @log
config
config|get parameter...
config|help
config|resetstat
config|rewrite
config|set <parameter value>...
copy source destination [DB destination-db] [REPLACE]
dbsize
debug
decr key
decrby key decrement
del key...
delifeq key value
discard
dump key
echo message
eval script numkeys [key...] [arg...]
eval_ro script numkeys [key...] [arg...]
evalsha sha1 numkeys [key...] [arg...]
evalsha_ro sha1 numkeys [key...] [arg...]
exec
exists key...
expire key seconds @expiry-condition
expireat key unix-time-seconds @expiry-condition
expiretime key
failover [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]
fcall function numkeys [key...] [arg...]
fcall_ro function numkeys [key...] [arg...]
flushall [ASYNC | SYNC]
flushdb [ASYNC | SYNC]
function
function|delete library-name
function|dump
function|flush [ASYNC | SYNC]
function|help
function|kill
function|list [LIBRARYNAME library-name-pattern] [WITHCODE]
function|load [REPLACE] function-code
function|restore serialized-value [FLUSH | APPEND | REPLACE]
function|stats
geoadd key [NX | XX] [CH] <longitude latitude member>...
geodist key member1 member2 [M | KM | FT | MI]
geohash key [member...]
geopos key [member...]
georadius key longitude latitude radius @unit @with [COUNT count [ANY]] [ASC | DESC] @store
georadius_ro key longitude latitude radius @unit @with [COUNT count [ANY]] [ASC | DESC]
georadiusbymember key member radius @unit @with [COUNT count [ANY]] [ASC | DESC] @store
georadiusbymember_ro key member radius @unit @with [COUNT count [ANY]] [ASC | DESC]
geosearch key @area [ASC | DESC] [COUNT count [ANY]] @with
geosearchstore destination source @area [ASC | DESC] [COUNT count [ANY]] [STOREDIST]
get key
getbit key offset
getdel key
getex key [@expiry | PERSIST]
getrange key start:integer end:integer
getset key value
hdel key field...
hello [protover [AUTH username password] [SETNAME clientname]]
hexists key field
hexpire key seconds @expiry-condition @fields
hexpireat key unix-time-seconds @expiry-condition @fields
hexpiretime key @fields
hget key field
hgetall key
hgetdel key @fields
hgetex key [@expiry | PERSIST] @fields
hincrby key field increment:integer
hincrbyfloat key field increment
hkeys key
hlen key
hmget key field...
hmset key <field value>...
hpersist key @fields
hpexpire key milliseconds @expiry-condition @fields
hpexpireat key unix-time-milliseconds @expiry-condition @fields
hpexpiretime key @fields
hpttl key @fields
hrandfield key [count [WITHVALUES]]
hscan key cursor:integer [MATCH pattern] [COUNT count] [NOVALUES]
hset key <field value>...
hsetex key [NX | XX] [FNX | FXX] [@expiry | KEEPTTL] FIELDS numfields <field value>...
hsetnx key field value
hstrlen key field
httl key @fields
hvals key
incr key
incrby key increment:integer
incrbyfloat key increment
info [section...]
keys pattern
lastsave
latency
latency|doctor
latency|graph event
latency|help
latency|histogram [command...]
latency|history event
latency|latest
latency|reset [event...]
lcs key1 key2:key0 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
lindex key index
linsert key <BEFORE | AFTER> pivot element
llen key
lmove source destination <LEFT | RIGHT> <LEFT | RIGHT>
lmpop numkeys key... <LEFT | RIGHT> [COUNT count]
lolwut [VERSION version]
lpop key [count]
lpos key element [RANK rank] [COUNT num-matches] [MAXLEN len]
lpush key element...
lpushx key element...
lrange key start:integer stop:integer
lrem key count element
lset key index element
ltrim key start:integer stop:integer
memory
memory|doctor
memory|help
memory|malloc-stats
memory|purge
memory|stats
memory|usage key [SAMPLES count]
mget key...
migrate host port <key | ""> destination-db timeout:integer [COPY] [REPLACE] [AUTH password | AUTH2 username
  password] [KEYS key...]
module
module|help
module|list
module|load path [arg...]
module|loadex path [CONFIG name value]... [ARGS args...]
module|unload name
monitor
move key db
mset <key value>...
msetex numkeys <key value>... [NX | XX] [@expiry | KEEPTTL]
msetnx <key value>...
multi
object
object|encoding key
object|freq key
object|help
object|idletime key
object|refcount key
persist key
pexpire key milliseconds @expiry-condition
pexpireat key unix-time-milliseconds @expiry-condition
pexpiretime key
pfadd key [element...]
pfcount key...
pfdebug subcommand key
pfmerge destkey [sourcekey...]
pfselftest
ping [message]
psetex key milliseconds value
psubscribe pattern...
psync replicationid offset
pttl key
publish channel message
pubsub
pubsub|channels [pattern]
pubsub|help
pubsub|numpat
pubsub|numsub [channel...]
pubsub|shardchannels [pattern]
pubsub|shardnumsub [shardchannel...]
punsubscribe [pattern...]
quit
randomkey
readonly
readwrite
rename key newkey
renamenx key newkey
replconf
replicaof <host port | NO ONE>
reset
restore key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
restore-asking key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
role
rpop key [count]
rpoplpush source destination
rpush key element...
rpushx key element...
sadd key member...
save
scan cursor:integer [MATCH pattern] [COUNT count] [TYPE type]
scard key
script
script|debug <YES | SYNC | NO> [engine]
script|exists sha1...
script|flush [ASYNC | SYNC]
script|help
script|kill
script|load script
script|show sha1
sdiff key...
sdiffstore destination key...
select index
set key value [NX | XX | IFEQ comparison-value] [GET] [@expiry | KEEPTTL]
setbit key offset value:integer
setex key seconds value
setnx key value
setrange key offset value
shutdown [[NOSAVE | SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT]
sinter key...
sintercard numkeys key... [LIMIT limit]
sinterstore destination key...
sismember key member
slaveof <host port | NO ONE>
slowlog
slowlog|get [count]
slowlog|help
slowlog|len
slowlog|reset
smembers key
smismember key member...
smove source destination member
sort key [BY pattern] [LIMIT offset count] [GET pattern]... [ASC | DESC] [ALPHA] [STORE destination:key2]
sort_ro key [BY pattern] [LIMIT offset count] [GET pattern]... [ASC | DESC] [ALPHA]
spop key [count]
spublish shardchannel message
srandmember key [count]
srem key member...
sscan key cursor:integer [MATCH pattern] [COUNT count]
ssubscribe shardchannel...
strlen key
subscribe channel...
substr key start:integer end:integer
sunion key...
sunionstore destination key...
sunsubscribe [shardchannel...]
swapdb index1 index2
sync
time
touch key...
ttl key
type key
unlink key...
unsubscribe [channel...]
unwatch
wait numreplicas timeout:integer
waitaof numlocal numreplicas timeout:integer
watch key...
xack key group id...
xadd key [NOMKSTREAM] [@trim] <* | id> <field value>...
xautoclaim key group consumer min-idle-time start:string [COUNT count] [JUSTID]
xclaim key group consumer min-idle-time id... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count]
  [FORCE] [JUSTID] [LASTID lastid]
xdel key id...
xgroup
xgroup|create key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]
xgroup|createconsumer key group consumer
xgroup|delconsumer key group consumer
xgroup|destroy key group
xgroup|help
xgroup|setid key group <id | $> [ENTRIESREAD entries-read]
xinfo
xinfo|consumers key group
xinfo|groups key
xinfo|help
xinfo|stream key [FULL [COUNT count]]
xlen key
xpending key group [[IDLE min-idle-time:integer] start end count [consumer]]
xrange key start end [COUNT count]
xread [COUNT count] [BLOCK milliseconds] STREAMS key... id...
xreadgroup GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS
  key... id...
xrevrange key end start [COUNT count]
xsetid key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
xtrim key @trim
zadd key [NX | XX] [GT | LT] [CH] [INCR] <score member>...
zcard key
zcount key min:double max:double
zdiff numkeys key... [WITHSCORES]
zdiffstore destination numkeys key...
zincrby key increment member
zinter numkeys @weighted [WITHSCORES]
zintercard numkeys key... [LIMIT limit]
zinterstore destination numkeys @weighted
zlexcount key min max
zmpop numkeys key... <MIN | MAX> [COUNT count]
zmscore key member...
zpopmax key [count]
zpopmin key [count]
zrandmember key [count [WITHSCORES]]
zrange key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
zrangebylex key min max [LIMIT offset count]
zrangebyscore key min:double max:double [WITHSCORES] [LIMIT offset count]
zrangestore dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
zrank key member [WITHSCORE]
zrem key member...
zremrangebylex key min max
zremrangebyrank key start:integer stop:integer
zremrangebyscore key min:double max:double
zrevrange key start:integer stop:integer [WITHSCORES]
zrevrangebylex key max min [LIMIT offset count]
zrevrangebyscore key max:double min:double [WITHSCORES] [LIMIT offset count]
zrevrank key member [WITHSCORE]
zscan key cursor:integer [MATCH pattern] [COUNT count] [NOSCORES]
zscore key member
zunion numkeys @weighted [WITHSCORES]
zunionstore destination numkeys @weighted
"""
