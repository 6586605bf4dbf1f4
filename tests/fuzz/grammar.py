"""What the arguments of each command look like, as far as random requests need to know.

One line a command, after its name:

    word        one argument of a kind that requests.py can draw (key, integer, score, …)
    WORD        itself
    ( )  |      grouping, alternatives
    ? * +       perhaps; up to three times; at least once, and now and then very often
    #           as +, behind their number

`key`, `list`, `hash`, … are keys, mostly of that type. A command without a line is asked with keys where the table
says that it has some, and anything else where it has not, so that new commands are fuzzed before anybody \
writes a line.
"""

GRAMMAR = """
get string
set string value (NX|XX|GET|KEEPTTL|IFEQ value|EX second|PX millisecond|EXAT moment|PXAT moment_ms)*
setnx string value
setex string second value
psetex string millisecond value
getset string value
getdel string
getex string (EX second|PX millisecond|EXAT moment|PXAT moment_ms|PERSIST)?
delifeq string value
mget string+
mset (string value)+
msetnx (string value)+
msetex (string value)# (NX|XX|EX second|KEEPTTL)*
append string value
strlen string
getrange string index index
substr string index index
setrange string offset value
lcs string string (LEN|IDX|MINMATCHLEN integer|WITHMATCHLEN)*
incr string
decr string
incrby string integer
decrby string integer
incrbyfloat string float
setbit string bit_offset bit
getbit string bit_offset
bitcount string (index index (BYTE|BIT)?)?
bitpos string bit (index (index (BYTE|BIT)?)?)?
bitop (AND|OR|XOR|NOT|DIFF|DIFF1|ANDOR|ONE) string string+
bitfield string (GET bits bit_offset|SET bits bit_offset integer|INCRBY bits bit_offset integer|OVERFLOW (WRAP|\
SAT|FAIL))*
bitfield_ro string (GET bits bit_offset)*
pfadd hyperloglog value+
pfcount hyperloglog+
pfmerge hyperloglog hyperloglog*
pfdebug (ENCODING|DECODE|TODENSE|GETREG|SIMD) hyperloglog
del key+
unlink key+
exists key+
touch key+
type key
rename key key
renamenx key key
copy key key (DB db|REPLACE)*
move key db
dump key
restore key millisecond payload (REPLACE|ABSTTL|IDLETIME integer|FREQ integer)*
object (ENCODING|FREQ|IDLETIME|REFCOUNT) key
memory USAGE key (SAMPLES integer)?
expire key second (NX|XX|GT|LT)*
pexpire key millisecond (NX|XX|GT|LT)*
expireat key moment (NX|XX|GT|LT)*
pexpireat key moment_ms (NX|XX|GT|LT)*
ttl key
pttl key
expiretime key
pexpiretime key
persist key
sort key (BY pattern|LIMIT index index|GET pattern|ASC|DESC|ALPHA|STORE key)*
sort_ro key (BY pattern|LIMIT index index|GET pattern|ASC|DESC|ALPHA)*
scan cursor (MATCH pattern|COUNT integer|TYPE type)*
keys pattern
randomkey
_scan cursor (MATCH pattern|COUNT integer|TYPE type)*
_keys pattern
lpush list value+
rpush list value+
lpushx list value+
rpushx list value+
lpop list count?
rpop list count?
lmove list list side side
rpoplpush list list
lmpop list# side (COUNT count)?
llen list
lindex list index
lrange list index index
lpos list value (RANK integer|COUNT count|MAXLEN count)*
lset list index value
linsert list (BEFORE|AFTER) value value
lrem list integer value
ltrim list index index
blpop list+ timeout
brpop list+ timeout
blmove list list side side timeout
brpoplpush list list timeout
blmpop timeout list# side (COUNT count)?
hset hash (field value)+
hmset hash (field value)+
hget hash field
hexists hash field
hstrlen hash field
hsetnx hash field value
hincrby hash field integer
hincrbyfloat hash field float
hmget hash field+
hdel hash field+
hgetdel hash FIELDS field#
hlen hash
hgetall hash
hkeys hash
hvals hash
hscan hash cursor (MATCH pattern|COUNT integer|NOVALUES)*
hrandfield hash (integer WITHVALUES?)?
hexpire hash second (NX|XX|GT|LT)? FIELDS field#
hpexpire hash millisecond (NX|XX|GT|LT)? FIELDS field#
hexpireat hash moment (NX|XX|GT|LT)? FIELDS field#
hpexpireat hash moment_ms (NX|XX|GT|LT)? FIELDS field#
hpersist hash FIELDS field#
httl hash FIELDS field#
hpttl hash FIELDS field#
hexpiretime hash FIELDS field#
hpexpiretime hash FIELDS field#
hgetex hash (EX second|PX millisecond|EXAT moment|PXAT moment_ms|PERSIST)? FIELDS field#
hsetex hash (FNX|FXX|NX|XX|EX second|PX millisecond|KEEPTTL)* FIELDS (field value)#
sadd set member+
srem set member+
smembers set
scard set
sismember set member
smismember set member+
sscan set cursor (MATCH pattern|COUNT integer)*
spop set count?
srandmember set integer?
smove set set member
sinter set+
sinterstore set set+
sintercard set# (LIMIT count)?
sunion set+
sunionstore set set+
sdiff set+
sdiffstore set set+
zadd zset (NX|XX|GT|LT|CH|INCR)* (score member)+
zincrby zset score member
zrem zset member+
zcard zset
zscore zset member
zmscore zset member+
zrank zset member WITHSCORE?
zrevrank zset member WITHSCORE?
zrandmember zset (integer WITHSCORES?)?
zscan zset cursor (MATCH pattern|COUNT integer|NOSCORES)*
zrange zset (index index|bound bound BYSCORE|lex lex BYLEX) (REV|LIMIT index index|WITHSCORES)*
zrevrange zset index index WITHSCORES?
zrangebyscore zset bound bound (WITHSCORES|LIMIT index index)*
zrevrangebyscore zset bound bound (WITHSCORES|LIMIT index index)*
zrangebylex zset lex lex (LIMIT index index)?
zrevrangebylex zset lex lex (LIMIT index index)?
zrangestore zset zset (index index|bound bound BYSCORE|lex lex BYLEX) (REV|LIMIT index index)*
zcount zset bound bound
zlexcount zset lex lex
zremrangebyrank zset index index
zremrangebyscore zset bound bound
zremrangebylex zset lex lex
zunion zset# (WEIGHTS score+|AGGREGATE (SUM|MIN|MAX)|WITHSCORES)*
zunionstore zset zset# (WEIGHTS score+|AGGREGATE (SUM|MIN|MAX))*
zinter zset# (WEIGHTS score+|AGGREGATE (SUM|MIN|MAX)|WITHSCORES)*
zinterstore zset zset# (WEIGHTS score+|AGGREGATE (SUM|MIN|MAX))*
zdiff zset# WITHSCORES?
zdiffstore zset zset#
zintercard zset# (LIMIT count)?
zpopmin zset count?
zpopmax zset count?
bzpopmin zset+ timeout
bzpopmax zset+ timeout
zmpop zset# (MIN|MAX) (COUNT count)?
bzmpop timeout zset# (MIN|MAX) (COUNT count)?
geoadd geo (NX|XX|CH)* (longitude latitude member)+
geopos geo member*
geohash geo member*
geodist geo member member unit?
geosearch geo (FROMMEMBER member|FROMLONLAT longitude latitude) (BYRADIUS radius unit|BYBOX radius radius unit) \
(ASC|DESC|COUNT count ANY?|WITHCOORD|WITHDIST|WITHHASH)*
geosearchstore geo geo (FROMMEMBER member|FROMLONLAT longitude latitude) (BYRADIUS radius unit|BYBOX radius \
radius unit) \
(ASC|DESC|COUNT count ANY?|STOREDIST)*
georadius geo longitude latitude radius unit (WITHCOORD|WITHDIST|WITHHASH|COUNT count ANY?|ASC|DESC|STORE geo|\
STOREDIST geo)*
georadius_ro geo longitude latitude radius unit (WITHCOORD|WITHDIST|WITHHASH|COUNT count ANY?|ASC|DESC)*
georadiusbymember geo member radius unit (WITHCOORD|WITHDIST|WITHHASH|COUNT count ANY?|ASC|DESC|STORE geo)*
georadiusbymember_ro geo member radius unit (WITHCOORD|WITHDIST|WITHHASH|COUNT count ANY?|ASC|DESC)*
xadd stream (NOMKSTREAM|MAXLEN (=|~)? count (LIMIT count)?|MINID (=|~)? id (LIMIT count)?)? (newid|newid|*|id) \
(field value)+
xsetid stream id (ENTRIESADDED count|MAXDELETEDID id)*
xdel stream id+
xtrim stream (MAXLEN|MINID) (=|~)? (count|id) (LIMIT count)?
xlen stream
xrange stream from upto (COUNT integer)?
xrevrange stream upto from (COUNT integer)?
xread (COUNT integer|BLOCK wait)* STREAMS (stream id|stream stream id id|stream ($|+)|stream stream $ id)
xgroup (CREATE stream group (id|$) (MKSTREAM|ENTRIESREAD integer)*|SETID stream group (id|$) (ENTRIESREAD integer)?|\
DESTROY stream group|CREATECONSUMER stream group consumer|DELCONSUMER stream group consumer|CREATE stream group \
0 MKSTREAM)
xreadgroup GROUP group consumer (COUNT integer|BLOCK wait|NOACK|CLAIM integer)* STREAMS (stream >|stream id|\
stream stream > id)
xack stream group id+
xclaim stream group consumer idle id+ (IDLE integer|TIME moment_ms|RETRYCOUNT integer|FORCE|JUSTID|LASTID id)*
xautoclaim stream group consumer idle from (COUNT integer|JUSTID)*
xpending stream group ((IDLE integer)? from upto integer consumer?)?
xinfo (STREAM stream (FULL (COUNT integer)?)?|GROUPS stream|CONSUMERS stream group)
eval (script key# value*|keyscript 1 key value*|keyscript 2 key key value*)
eval_ro (script key# value*|keyscript 1 key value*)
evalsha sha key# value*
evalsha_ro sha key# value*
script (LOAD script|EXISTS sha+|FLUSH (ASYNC|SYNC)?|SHOW sha|KILL|DEBUG NO)
fcall function key# value*
fcall_ro function key# value*
function (LOAD REPLACE? library|LIST WITHCODE? (LIBRARYNAME pattern)?|DELETE function|DUMP|STATS|FLUSH (ASYNC|SYNC)?|\
RESTORE payload|KILL)
subscribe channel+
unsubscribe channel*
psubscribe pattern+
punsubscribe pattern*
ssubscribe channel
sunsubscribe channel*
publish channel value
spublish channel value
pubsub (CHANNELS pattern?|NUMSUB channel*|NUMPAT|SHARDCHANNELS pattern?|SHARDNUMSUB channel*)
multi
exec
discard
watch key+
unwatch
ping value?
echo value
select db
hello (2|3|integer) (SETNAME name|AUTH name value)*
client (ID|GETNAME|SETNAME name|SETINFO (lib-name|lib-ver) name|LIST (TYPE normal|ID integer+)*|INFO|NO-EVICT \
(on|off)|\
NO-TOUCH (on|off)|UNPAUSE|UNBLOCK integer (TIMEOUT|ERROR)?|TRACKINGINFO|GETREDIR|CACHING (yes|no)|CAPA redirect|\
TRACKING (on|off) (BCAST|PREFIX pattern|NOLOOP|OPTIN|OPTOUT|REDIRECT integer)*)
command (COUNT|INFO name*|DOCS name*|LIST (FILTERBY (PATTERN pattern|ACLCAT name|MODULE name))?|GETKEYS name value+|\
GETKEYSANDFLAGS name value+)?
config (GET pattern+|GET parameter|SET parameter integer|SET name value|RESETSTAT)
info section*
slowlog (GET integer?|LEN|RESET)
latency (LATEST|HISTORY name|RESET name?|GRAPH name|HISTOGRAM name*|DOCTOR)
cluster (INFO|NODES|SLOTS|SHARDS|MYID|MYSHARDID|KEYSLOT key|COUNTKEYSINSLOT integer|GETKEYSINSLOT integer \
integer|LINKS|\
REPLICAS name|COUNT-FAILURE-REPORTS name|ADDSLOTS integer|MEET value integer)
debug (OBJECT key|PROTOCOL type|ERROR value|DIGEST|STRINGMATCH-LEN integer pattern|SET-ACTIVE-EXPIRE 1)
memory (USAGE key (SAMPLES integer)?|DOCTOR|STATS|PURGE|MALLOC-STATS)
wait integer (1|10)
waitaof integer integer (1|10)
lolwut (VERSION integer)? integer*
swapdb db db
flushdb (ASYNC|SYNC)?
flushall (ASYNC|SYNC)?
acl (WHOAMI|LIST|USERS|CAT name?|GENPASS integer?|LOG integer?|GETUSER name|SETUSER name (on|off|allkeys|\
allcommands|rule)*|\
DELUSER name|DRYRUN name value+)
auth name? value
"""
