"""Random requests for every command in the table: mostly sensible ones, so that they get somewhere, and damaged ones.

A `Maker` draws from a `random.Random`, so a seed gives the same requests again. What an argument may be is said in
`_KINDS`; what a command takes, in grammar.py.
"""

from collections.abc import Callable, Iterator
from random import Random

from server.commands import all as all_commands
from server.commands.table import Command, every_command
from server.dispatch import transactions
from tests.fuzz.grammar import GRAMMAR

assert all_commands.loaded
assert transactions.exec_

Request = list[bytes]

LEFT_OUT = frozenset(
    (
        *("shutdown", "quit", "monitor", "psync", "sync", "replicaof", "slaveof", "failover"),
        *(
            "client|kill",
            "client|pause",
            "client|reply",
            "cluster|rebuild",
            "cluster|reset",
            "cluster|failover",
        ),
        *("module|load", "module|loadex", "acl|save", "acl|load", "config|rewrite", "pfselftest"),
    )
)
"""They end a connection or the server, make others wait, or leave the client without a reply: as they should."""
RARE = {
    **dict.fromkeys(("flushall", "flushdb", "swapdb"), 0.01),
    **dict.fromkeys(("script", "lolwut", "command", "info", "config", "lcs", "debug", "cluster"), 0.2),
}
"""Else nothing would ever grow, or most of the time would go into them."""
TYPES = ("string", "list", "hash", "set", "zset", "stream", "geo", "hyperloglog")
_HARD_NUMBERS = (  # none that a server may well take for a number of bytes or of replies
    *("9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809"),
    *("18446744073709551616", "4294967296", "99999999999999999999999", "9223372036854775806"),
    *("", "x", "1.5", " 1", "1 ", "+1", "01", "-0", "1e3", "0x10", "nan", "inf", "\u0661", "1_000"),
)
_SCRIPTS = (
    "return 1",
    "return {KEYS, ARGV}",
    "return redis.call('time')",
    "return redis.pcall('nosuch')",
    "return redis.error_reply('MY error')",
    "return {1, {2, {3}}, 'x', false, {ok='fine'}, {double=1.5}, {map={a=1}}}",
    "redis.setresp(3); return redis.call('hgetall', KEYS[1])",
    "return cjson.encode(cjson.decode(ARGV[1]))",
    "return cmsgpack.unpack(ARGV[1])",
    "return struct.unpack(ARGV[1], ARGV[2])",
    "return bit.tohex(ARGV[1], ARGV[2])",
    "error({err='x'})",
    "return string.rep('x', 100)",
    "syntax error",
    "#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])",
    "#!lua nonsense\nreturn 1",
    "return tostring(nil) .. nil",
    "return redis.sha1hex(ARGV[1])",
    "return 1e300",
    "local t = {} t[1] = t return t",
)
_KEY_SCRIPTS = (
    "return redis.call('rpush', KEYS[1], unpack(ARGV))",
    "redis.call('set', KEYS[1], 'x') return redis.call('incr', KEYS[1])",
    "return {redis.pcall('type', KEYS[1]), redis.pcall('lpop', KEYS[1]), redis.pcall('xadd', KEYS[1], '*', 'a', 'b')}",
    "redis.call('del', KEYS[1]) redis.call('zadd', KEYS[1], 1, 'a') return redis.pcall('hset', KEYS[2], 'a', 1)",
    "return redis.call('blpop', KEYS[1], 0)",
    "return redis.call(unpack(ARGV))",
    "return redis.call('rename', KEYS[1], KEYS[2])",
    "for i = 1, 200 do redis.call('rpush', KEYS[1], i) end",
)


class Maker:
    """Draws requests."""

    def __init__(
        self, seed: int | str, *, tags: tuple[str, ...] = ("{t}",), where: Callable[[Command], bool]
    ) -> None:
        """`tags`: begin the keys; those of one request mostly have the same. `where`: which commands to draw from."""
        self.random = Random(seed)
        self.scale = self.random.choice((0.003, 0.01, 0.1))
        """How often something that may come many times comes very many times."""
        self.payloads = [b'\x00\xc0\x7fP\x00\xc2\x9f"\xa0\xcc\x06\xa2\xe0', b"", b"x" * 30, b"\x0a" * 40]
        """For RESTORE; replies to DUMP may be added."""
        self._tags = tags
        self._tag = tags[0]
        rules: dict[str, list[str]] = {}
        for line in GRAMMAR.strip().splitlines():
            name, _, rest = line.partition(" ")
            rules.setdefault(name, []).append(rest)
        self._choices: list[tuple[Command, Rule | None]] = []
        for row in every_command():
            if row.name in LEFT_OUT or row.is_container or not row.open or not where(row):
                continue
            container, _, sub = row.name.partition("|")
            rule = None if sub else rules.get(container)
            if sub and container in rules:
                continue  # its container's line speaks for it
            self._choices.append((row, None if rule is None else parse(" | ".join(rule))))
        for row in every_command():
            if row.is_container and row.name in rules and any(where(sub) for sub in row.subcommands.values()):
                self._choices += [(row, parse(" | ".join(rules[row.name])))] * 5

    def request(self) -> Request:
        """The next one."""
        random = self.random
        self._tag = random.choice(self._tags)
        row, rule = random.choice(self._choices)
        while random.random() > RARE.get(row.name.partition("|")[0], 1):
            row, rule = random.choice(self._choices)
        name = [part.encode() for part in row.name.split("|")]
        arguments = self._guess(row) if rule is None else [self._argument(word) for word in rule(self)]
        if random.random() > 0.08:
            return [*name, *arguments]
        return self._damaged([*name, *arguments])

    def transaction(self) -> list[Request]:
        """What stands between MULTI and EXEC."""
        return [self.request() for _ in range(self.random.randrange(1, 6))]

    def often(self, most: int) -> int:
        """How many times something comes that may come up to `most` times."""
        if self.random.random() < self.scale:
            return self.random.randrange(50, 300)
        return self.random.randrange(most + 1)

    def _damaged(self, request: Request) -> Request:
        random = self.random
        for _ in range(random.choice((1, 1, 2, 3))):
            at = random.randrange(1, len(request) + 1)
            match random.randrange(6):
                case 0:
                    del request[at:]
                case 1:
                    request.insert(at, self._argument(random.choice(list(_KINDS))))
                case 2:
                    request[at : at + 1] = []
                case 3:
                    request[at : at + 1] = [self._argument(random.choice(list(_KINDS)))]
                case 4:
                    random.shuffle(tail := request[at:])
                    request[at:] = tail
                case _:
                    request += [self._argument(random.choice(list(_KINDS)))] * random.randrange(1, 4)
        return request

    def _guess(self, row: Command) -> Request:
        """Arguments for a command that grammar.py does not know."""
        fewest = abs(row.arity) - 1 - row.name.count("|")
        count = max(fewest, 0) + (self.random.randrange(5) if row.arity < 0 else 0)
        skipped = 1 + row.name.count("|")
        kinds = list(_KINDS)
        last = row.keys.last if row.keys.last >= 0 else skipped + count + row.keys.last
        return [
            self._argument("key")
            if row.keys.first and row.keys.first <= at <= last and not (at - row.keys.first) % row.keys.step
            else self._argument(self.random.choice(kinds))
            for at in range(skipped, skipped + count)
        ]

    def _argument(self, word: str) -> bytes:
        kind = _KINDS.get(word)
        if kind is None:
            if self.random.random() < 0.2:
                word = word.lower()
            return word.encode()
        if self.random.random() < 0.03:
            kind = _KINDS[self.random.choice(list(_KINDS))]
        drawn = kind(self)
        return drawn if isinstance(drawn, bytes) else str(drawn).encode()

    def key(self, type_: str = "") -> str:
        """The name of a key that is mostly of the given type."""
        random = self.random
        if not type_ or random.random() < 0.03:
            type_ = random.choice(TYPES)
        tag = self._tag if random.random() < 0.97 else random.choice(self._tags)
        return f"{tag}{type_}{random.randrange(2 if type_ == 'stream' else 4)}"

    def integer(self) -> str:
        """A number, not always one that fits."""
        random = self.random
        draw = random.random()
        if draw < 0.7:
            return str(random.choice((0, 1, 2, 3, 5, 7, 10, 100, -1, -2)))
        if draw < 0.85:
            return str(random.randrange(-1000, 100000))
        return random.choice(_HARD_NUMBERS)

    def float(self) -> str:
        """As `integer`, with fractions."""
        return self.random.choice(
            ("0.1", "-2.5", "1e10", "1e308", "-inf", "inf", "nan", "3.0e-5", self.integer())
        )

    def value(self) -> bytes:
        """Any string."""
        random = self.random
        draw = random.random()
        if draw < 0.45:
            return random.choice((b"a", b"b", b"c", b"", b"hello", b"\x00\xff\r\n", b"12", b"3.5", b"x" * 70))
        if draw < 0.6:
            return self.integer().encode()
        if draw < 0.9:
            return b"v%d" % random.randrange(1000)
        return random.randbytes(random.choice((1, 8, 40, 100, 300)))

    def id(self) -> str:
        """Of a stream's entry."""
        random = self.random
        draw = random.random()
        if draw < 0.8:
            return f"{random.randrange(1, 60)}-{random.randrange(3)}"
        return random.choice(
            (
                "0",
                "0-0",
                "5-*",
                "(3-1",
                "-",
                "+",
                "$",
                ">",
                "18446744073709551615-18446744073709551615",
                "x",
                "1-",
                "-1",
                "*",
            )
        )

    def wait(self) -> str:
        """Milliseconds to block for."""
        return self.random.choice(("1", "5", "20", "0", "1000000", "-1", "x", "9223372036854775807"))

    def timeout(self) -> str:
        """Seconds to block for."""
        return self.random.choice(
            ("0.001", "0.001", "0.01", "0.02", "0", "1000", "-1", "x", "1e400", "nan", "9223372036854775807")
        )

    def near(self, base: int) -> str:
        """A number around `base`, seldom something else."""
        return str(base + self.random.randrange(-100, 100)) if self.random.random() < 0.8 else self.integer()


def _pick(*words: str | bytes) -> Callable[[Maker], str | bytes]:
    return lambda maker: maker.random.choice(words)


_KINDS: dict[str, Callable[[Maker], str | bytes]] = {
    **{type_: (lambda maker, type_=type_: maker.key(type_)) for type_ in TYPES},  # type: ignore[misc]
    "key": Maker.key,
    "value": Maker.value,
    "integer": Maker.integer,
    "index": lambda maker: maker.random.choice(("0", "-1", "1", "-3", "200", maker.integer())),
    "count": lambda maker: maker.random.choice(("1", "1", "2", "2", "3", "10", "0", maker.integer())),
    "cursor": lambda maker: maker.random.choice(("0", "0", "0", "1", "70368744177664", maker.integer())),
    "float": Maker.float,
    "offset": lambda maker: maker.random.choice(("0", "3", "100", "1000", "536870912", "-1")),
    "bit_offset": lambda maker: maker.random.choice(
        ("0", "7", "100", "#3", "8000", "4294967296", maker.integer())
    ),
    "bit": _pick("0", "1", "1", "2", "x"),
    "bits": _pick("u1", "i8", "u8", "i64", "u63", "u64", "i1", "u0", "x", "i65"),
    "second": lambda maker: maker.random.choice(("1", "10", "100", "0", "-1", maker.integer())),
    "millisecond": lambda maker: maker.random.choice(("1", "50", "5000", "100000", "0", maker.integer())),
    "moment": lambda maker: maker.near(33_000_000_000 if maker.random.random() < 0.8 else 1),
    "moment_ms": lambda maker: maker.near(33_000_000_000_000 if maker.random.random() < 0.8 else 1),
    "db": _pick("0", "0", "0", "1", "2", "15", "16", "-1", "x"),
    "payload": lambda maker: maker.random.choice(maker.payloads),
    "pattern": lambda maker: maker.random.choice(
        ("*", "*a*", "[a-c]*", "{t}*", "?", "", "\\", "[", "*" * 30 + "x", "w_*->f")
    ),
    "type": _pick("string", "list", "hash", "zset", "set", "stream", "nosuch"),
    "side": _pick("LEFT", "RIGHT", "left", "up"),
    "field": lambda maker: maker.random.choice(("f", "g", "h", "", f"f{maker.random.randrange(300)}")),
    "member": lambda maker: maker.random.choice(
        ("a", "b", "c", "1", "-7", "", f"m{maker.random.randrange(300)}", str(maker.random.randrange(600)))
    ),
    "score": lambda maker: maker.random.choice(
        ("0", "1", "-1.5", str(maker.random.randrange(1000)), maker.float())
    ),
    "bound": lambda maker: maker.random.choice(("-inf", "+inf", "(1", "10", "(", "(500", "0", maker.float())),
    "lex": _pick("-", "+", "[a", "(a", "[m2", "(zz", "[", "x", "", "[\xff"),
    "longitude": _pick("13.36", "15.08", "-180", "180", "0", "181", "x", "nan", "2.5"),
    "latitude": _pick("38.11", "37.5", "-85.05", "85.05112878", "0", "86", "x", "41"),
    "radius": _pick("1", "200", "5000", "20000", "-1", "1e300", "x", "0", "nan", "inf"),
    "unit": _pick("m", "km", "mi", "ft", "x"),
    "id": Maker.id,
    "newid": lambda maker: maker.random.choice(("60-*", f"{maker.random.randrange(30, 61)}-*")),
    "from": lambda maker: maker.random.choice(("-", "0", maker.id())),
    "upto": lambda maker: maker.random.choice(("+", "50", maker.id())),
    "group": _pick("g", "g", "g", "g", "g", "h", ""),
    "consumer": _pick("c", "d", "e"),
    "idle": _pick("0", "0", "1", "100000", "-1", "x"),
    "timeout": Maker.timeout,
    "wait": Maker.wait,
    "script": _pick(*_SCRIPTS),
    "keyscript": _pick(*_KEY_SCRIPTS),
    "sha": _pick("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x", "f" * 40, ""),
    "function": _pick("one", "two", "nosuch", ""),
    "library": _pick(
        "#!lua name=lib\nredis.register_function('one', function(keys, args) return redis.call('incr', keys[1]) end)",
        "#!lua name=lib\nredis.register_function{function_name='two', callback=function(k, a) return a end, "
        "flags={'no-writes'}}",
        "#!lua\nreturn 1",
        "#!lua name=lib\nredis.call('get', 'x')",
        "x",
    ),
    "channel": _pick("{t}one", "{t}two", "", "__keyspace@0__:x"),
    "name": _pick("alice", "bob", "get", "read", "x y", "", "latency", "string", "lib-x"),
    "section": _pick("server", "commandstats", "everything", "raft", "keyspace", "x", ""),
    "parameter": _pick("hz", "slowlog-log-slower-than", "list-max-listpack-size", "lfu-decay-time", "nosuch"),
    "rule": _pick(
        "+get", "-get", "+@all", "~k*", ">pass", "nopass", "&c*", "reset", "(+get ~x)", "%R~x", "bogus"
    ),
}

Rule = Callable[[Maker], Iterator[str]]


def parse(text: str) -> Rule:
    """Of a line of grammar.py: a function that draws the words of a request."""
    tokens: list[str] = []
    for word in text.split():
        while word[0] == "(" and len(word) > 1:
            tokens.append("(")
            word = word[1:]
        tokens += _split(word)
    rule, rest = _alternatives(tokens)
    assert not rest, (text, rest)
    return rule


def _split(word: str) -> list[str]:
    """A word without its blanks: `a|b)*` is a, |, b, ), *."""
    if word in ("*", "+", "$", ">", "|", "("):
        return [word + " "] if word in ("*", "+") else [word]
    found = [""]
    for letter in word:
        if letter in "()|" or (letter in "?*+#" and found[-1] not in ("", "|", "(")):
            found += [letter, ""]
        elif letter in "?*+":
            found += [letter + " " if found[-2:-1] in (["|"], ["("]) else letter, ""]
        else:
            found[-1] += letter
    return [part for part in found if part]


def _alternatives(tokens: list[str]) -> tuple[Rule, list[str]]:
    choices: list[list[Rule]] = [[]]
    while tokens and tokens[0] != ")":
        token, tokens = tokens[0], tokens[1:]
        if token == "|":
            choices.append([])
            continue
        item: Rule
        if token == "(":
            item, tokens = _alternatives(tokens)
            assert tokens[0] == ")"
            tokens = tokens[1:]
        else:
            item = _word(token.strip())
        if tokens and tokens[0] in ("?", "*", "+", "#"):
            item = _repeated(item, tokens[0])
            tokens = tokens[1:]
        choices[-1].append(item)

    def draw(maker: Maker) -> Iterator[str]:
        for item in maker.random.choice(choices):
            yield from item(maker)

    return draw, tokens


def _word(word: str) -> Rule:
    return lambda maker: iter((word,))


def _repeated(item: Rule, how: str) -> Rule:
    def draw(maker: Maker) -> Iterator[str]:
        times = {"?": lambda: maker.random.randrange(2), "*": lambda: maker.random.randrange(4)}.get(
            how, lambda: max(maker.often(4), 1)
        )()
        if how == "#":
            yield str(times) if maker.random.random() < 0.95 else maker.integer()
        for _ in range(times):
            yield from item(maker)

    return draw
