"""Hashes, and fields that expire. Transcripts as one would type them; quotes keep words together."""

from shlex import split

from tests.conformance.cases import Case

FAR_MS = "33000000000000"
TRANSCRIPTS = {
    "hexpire, its conditions and errors": """
        hset h a
        hset h a 1 b
        hmset h a
        hmset h a 1
        hset h a 1 b 2
        object encoding h
        hexpire h 100 fields 1 a
        object encoding h
        hpersist h fields 1 a
        object encoding h
        hexpire h 0 fields 2 a zz
        hgetall h
        hexpire nokey 100 fields 2 a zz
        hexpire h 100 fields 0 a
        hexpire h 100 fields 2 b
        hexpire h 100 fields 1 b c
        hexpire h 100 fields -1 b
        hexpire h 100 fields x b
        hexpire h 100 nx fields 1 b
        hexpire h 100 nx fields 1 b
        hexpire h 50 gt fields 1 b
        hexpire h 500 gt fields 1 b
        hexpire h 50 lt fields 1 b
        hexpire h 50 xx fields 1 b
        hexpire h 50 nx xx fields 1 b
        hexpire h 50 gt lt fields 1 b
        hexpire h 50 xx lt fields 1 b
        hexpire h 50 nx lt fields 1 b
        hexpire h 50 nx nx fields 1 b
        hexpire h 50 foo fields 1 b
        hexpire h 50 fields foo 1 b
        hexpire h 50 foo 1 b b
        hexpire h -1 fields 1 b
        hexpire h abc fields 1 b
        hexpire h 9223372036854775807 fields 1 b
        hpexpire h 9223372036854775807 fields 1 b
        hpexpireat h 9223372036854775807 fields 1 b
        hpexpiretime h fields 1 b
        hexpireat h 33000000000 fields 1 b
        hexpiretime h fields 2 b z
        hpexpiretime h fields 1 b
        hpexpiretime nokey fields 2 b c
        httl nokey fields 2 b c
        httl h fields 0 b
        httl h fields 2 b
        httl h fields 1 b c
        httl h foo 1 b
        hpersist nokey fields 1 b
        hpersist h fields 2 b c
        hpersist h fields 2 b b
        hpersist h fields 0 b
    """,
    "wrong types, hrandfield, hscan": """
        hset h b 2
        set s x
        hexpire s 10 fields 1 a
        hexpire s abc fields 1 a
        httl s fields 1 a
        httl s fields 0 a
        hgetdel s fields 1 a
        hgetex s fields 1 a
        hsetex s fields 1 a b
        hrandfield s
        hrandfield s x
        hrandfield nokey
        hrandfield nokey 3
        hrandfield nokey 3 withvalues
        hrandfield nokey 3 foo
        hrandfield nokey 3 withvalues x
        hrandfield h -9223372036854775808
        hrandfield h -4611686018427387904 withvalues
        hrandfield h 9223372036854775807
        hrandfield h -9223372036854775809
        hrandfield h x
        hscan nokey 0
        hscan h x
        hscan h 0 match
        hscan h 0 count 0
        hscan h 0 count x
        hscan h 0 novalues
        hscan h 0 noscores
        hscan h 0 type hash
        hscan s 0
        hscan h 0 match [a-b] count 5
        hscan h -1
        hscan h 18446744073709551616
    """,
    "hgetdel and hgetex": """
        hset h b 2
        hgetdel h fields 2 b c
        hgetdel h fields 2 b c
        exists h
        hgetdel h fields 0 b
        hgetdel h fields x b
        hgetdel h foo 1 b
        hgetdel h fields 2 b
        hgetex h fields 1 b
        hset h a 1 b 2 c 3
        hgetex h fields 2 a z
        hgetex h ex 100 fields 1 a
        hgetex h ex 0 fields 1 a
        hgetex h ex -1 fields 1 a
        hgetex h ex x fields 1 a
        hgetex h pxat 1 fields 1 a
        hgetall h
        hgetex h persist fields 1 b
        hgetex h persist ex 100 fields 1 b
        hgetex h ex 100 px 100 fields 1 b
        hgetex h keepttl fields 1 b
        hgetex h nx fields 1 b
        hgetex h ex fields 1 b
        hgetex h ex 100 fields
        hgetex h ex 100 a b
        hgetex h fields 1 b ex 100
        hgetex h fields 0 b
        hgetex h fields 3 b
    """,
    "hsetex": """
        hset h a 1 b 2 c 3
        hsetex h fields 1 a 1
        hsetex h ex 100 fields 1 a 1
        hsetex h keepttl fields 1 a 2
        hsetex h fields 1 a 3
        hsetex h fnx fields 1 a 3
        hsetex h fxx fields 2 a 3 new 3
        hsetex h fxx fields 1 a 3
        hsetex h fnx fields 1 new 3
        hsetex h nx fields 1 new 3
        hsetex h xx fields 1 new 3
        hsetex n2 xx fields 1 new 3
        hsetex h nx xx fields 1 new 3
        hsetex h fnx fxx fields 1 new 3
        hsetex h nx fnx fields 1 new 3
        hsetex h ex 0 fields 1 new 3
        hsetex h ex x fields 1 new 3
        hsetex h pxat 1 fields 1 new 3
        hgetall h
        hsetex n3 pxat 1 fields 1 new 3
        exists n3
        hsetex h ex 10 keepttl fields 1 new 3
        hsetex h persist fields 1 new 3
        hsetex h fields 2 new 3
        hsetex h fields 1 new 3 b
        hsetex h fields 0 new 3
        hsetex h fields -1 new 3
        hsetex h fields x new 3
        hsetex h foo 1 new 3
        hsetex h ex 10 fields
    """,
    "counters in fields": """
        hset h a 3
        hincrby h a x
        hset h str abc big 9223372036854775807
        hincrby h str 1
        hincrby h big 1
        hincrbyfloat h str 1
        hincrbyfloat h a x
        hincrbyfloat h a inf
        hincrbyfloat h a nan
        hincrbyfloat h a 1e5
        hincrbyfloat h a " 1"
        hexpireat h 33000000000 fields 1 a
        hincrby h a 1
        hincrbyfloat h a 1.5
        hsetnx h a 1
        hset h a 1
        hstrlen h a
        hstrlen h zz
        hstrlen s a
        object encoding h
    """,
    "the order in which options are looked at": """
        set s x
        hset h a 1 b 2
        hgetex h ex fields fields 1 a
        hgetex h ex 10 fields fields 1 a
        hgetex h nx fields 0 b
        hgetex h nx fields x b
        hgetex h ex x fields 0 b
        hgetex h ex -1 fields 0 b
        hgetex nokey ex -1 fields 1 b
        hgetex nokey ex x fields 1 b
        hgetex nokey exat 0 fields 1 b
        hgetex nokey exat -1 fields 1 b
        hgetex h ex 9223372036854775807 fields 1 b
        hgetex h persist persist fields 1 b
        hgetex h ex 10 ex 20 fields 1 b
        hgetex h persist fields 1 a a
        hgetex h FIELDS 2 a a
        hexpire h abc fields 0 b
        hexpire h 100 foo fields x b
        hexpire h 100 foo fields 0 b
        hexpire h abc foo fields 1 b
        hexpire h abc nx gt fields 1 b
        hexpire h abc nx gt fields 0 b
        hexpire h 100 nx gt fields 0 b
        hexpire h -1 fields 0 b
        hexpire h -1 nx gt fields 1 b
        hexpire nokey -1 fields 1 b
        hexpire nokey abc fields 1 b
        hexpire s -1 fields 1 b
        hexpire fields 100 fields 1 b
        hexpire h 100 b 1 fields
        hexpireat h -1 fields 1 b
        hexpireat h 0 fields 1 zz
        hpexpireat h 0 xx fields 2 a b
        hpexpireat h 0 nx fields 2 a a
    """,
    "times that are over": """
        hset h a 2
        exists h
        hset h a 1 b 2
        hexpire h 0 gt fields 1 a
        hexpire h 0 lt fields 1 a
        hgetall h
        hset h a 1 b 2
    """,
    "options of every command with fields": """
        hset h a 1 b 2
        set s x
        httl h FIELDS 1 a
        httl h fields x a
        httl h fields 1.5 a
        httl h fields -1 a
        httl h fields 99999999999999999999 a
        httl h a 1 fields
        httl s fields x a
        hpersist h foo 1 a
        hpersist h fields x a
        hpersist s fields 0 a
        hgetdel h fields 2 a a
        hgetdel h foo x a
        hgetdel nokey fields 1 a
        hgetdel nokey fields 0 a
        hset h a 1 b 2
        hsetex h fnx ex x fields 1 a 1
        hsetex h ex x fields 2 a 1
        hsetex h foo fields 2 a 1
        hsetex h foo fields 1 a 1
        hsetex h fnx fnx fields 1 q 1
        hsetex h ex 10 ex 10 fields 1 q 1
        hsetex h keepttl keepttl fields 1 q 1
        hsetex h xx fxx fields 2 q 1 q 2
        hgetall h
        hsetex h fnx fields 2 w 1 w 2
        hget h w
        hsetex h ex -1 fields 1 w 1
        hsetex h exat -1 fields 1 w 1
        hsetex h exat 0 fields 1 w 1
        hget h w
        hsetex s ex -1 fields 1 w 1
        hsetex new fields 1 w 1
        object encoding new
        hsetex new keepttl fields 1 w 1
        object encoding new
        hsetex new ex 100 fields 1 w 1
        object encoding new
        hsetex new2 pxat 1 fields 1 w 1
        object encoding new2
        hset new3 a 1
        hgetex new3 persist fields 1 a
        hpersist new3 fields 1 a
        hexpireat new3 0 fields 1 zz
        hexpire new3 100 fields 1 zz
        object encoding new3
        hsetex new3 pxat 1 fields 1 b 1
        object encoding new3
        hexpire new3 100 xx fields 1 a
        object encoding new3
        hset new3 a 1
        hpexpireat new3 1 fields 1 a
        exists new3
    """,
    "floats in fields": """
        hset h5 a 0.1
        hincrbyfloat h5 a 0.2
        hset h5 a 1e400
        hincrbyfloat h5 a 1
        hset h5 a inf
        hincrbyfloat h5 a 1
        hset h5 a " 1"
        hincrbyfloat h5 a 1
        hincrby h5 a 1
        hset h5 a ""
        hincrbyfloat h5 a 1
        hincrby h5 a 1
        hincrbyfloat h5 a 1e4932
        hincrbyfloat h5 b 1e4932
        hincrbyfloat h5 b 1e4932
        object encoding h5
    """,
    "errors come before types, or after": """
        hset h a 1 b 2 q 2
        set s x
        hincrby s a x
        hincrbyfloat s a x
        hset s a
        hscan s x
        hscan s 0 count 0
        hscan nokey 0 count 0
        hscan nokey 0 foo
        hscan h 0 count 10 novalues match *
        hscan h " 0"
        hscan h +0
        hscan h ""
        hrandfield s 1 withvalues x
        hrandfield h 0
        hrandfield h 0 withvalues
        hrandfield h -4611686018427387903 foo
        hrandfield h 4611686018427387904 withvalues
        hrandfield nokey -4611686018427387904 withvalues
        hrandfield nokey -4611686018427387905
        hrandfield s -4611686018427387905
        hmget h a zz
        hmget nokey a zz
        hmget s a
        hdel h nope
        hdel h b b
        hlen h
        hvals h
        hkeys h
        hsetnx h a 5
        hsetnx h
        del h
    """,
    "a hash stays a listpack up to 512 fields of 64 bytes": f"""
        hset h {"f" * 64} {"v" * 64}
        object encoding h
        hset h {"f" * 65} v
        object encoding h
        hdel h {"f" * 65}
        object encoding h
        hset v f {"v" * 65}
        object encoding v
        hset full {" ".join(f"f{number} v" for number in range(512))}
        object encoding full
        hset full f0 w f511 w
        object encoding full
        hset full more w
        object encoding full
        hlen full
        hdel full f0 f1
        object encoding full
        hset again {" ".join("f v" for _ in range(513))}
        object encoding again
        hincrbyfloat float f 1e100
        object encoding float
        copy float copied
        object encoding copied
    """,
    "when types are looked at": """
        set s x
        hset h a 1
        hsetex s ex x fields 1 w 1
        hsetex s ex x fields 0 w 1
        hsetex s nx ex 0 fields 1 w 1
        hsetex nokey xx ex -1 fields 1 w 1
        hsetex nokey xx ex x fields 1 w 1
        hsetex h fnx ex -1 fields 1 a 1
        hsetex h fnx ex x fields 1 a 1
        hsetex h nx ex x fields 1 a 1
        hsetex s foo fields 1 w 1
        hgetex s ex -1 fields 1 w
        hgetex s ex x fields 1 w
        hgetex s ex x fields 0 w
        hgetex s foo fields 1 w
        hexpire s x fields 1 w
        hexpire s -1 fields 1 w
        hexpire s 1 fields 0 w
        hexpire s 1 foo fields 1 w
        httl s fields 0 w
        hpersist s fields 1 w
        hgetdel s fields 0 w
        hsetex h nx a fields
        hsetex h nx a fields 1 2
        hgetex h nx a fields
        hsetex h ex 10 fields fields 1 2
    """,
    "a key of a hash goes with its last field": """
        hset h a 1 b 2
        expire h 1000
        hset h c 3
        ttl h
        hdel h a b c d
        exists h
        type h
        hset h a 1
        ttl h
        type h
    """,
    "a large hash": f"""
        hset h {" ".join(f"f{number} v{number}" for number in range(1000))}
        hlen h
        @sorted hgetall h
        @sorted hkeys h
        @sorted hvals h
        hmget h f0 f999 f1000
        hdel h f0 f1 f0
        hlen h
        @sorted hrandfield h 998
        rename h g
        hget g f5
        copy g h
        hset g f5 new
        hget h f5
        hpexpireat h 33000000000000 fields 2 f5 f6
        copy h i
        del h
        hpexpiretime i fields 3 f5 f6 f7
    """,
}
OVER = Case(
    "fields go when their time comes, and the key with the last one",
    [
        ["HSET", "h", "a", "1", "b", "2", "c", "3"],
        ["HPEXPIRE", "h", "100", "FIELDS", "2", "a", "b"],
        ["HEXPIREAT", "h", FAR_MS[:-3], "FIELDS", "1", "c"],
        ["@advance", "400"],
        ["HGETALL", "h"],
        ["HGET", "h", "a"],
        ["HMGET", "h", "a", "b", "c"],
        ["HEXISTS", "h", "a"],
        ["HLEN", "h"],
        ["HTTL", "h", "FIELDS", "1", "a"],
        ["HSETNX", "h", "a", "new"],
        ["HPEXPIRETIME", "h", "FIELDS", "2", "a", "c"],
        ["HPEXPIRE", "h", "100", "FIELDS", "2", "a", "c"],
        ["@advance", "400"],
        ["EXISTS", "h"],
        ["HSET", "h", "x", "1"],
        ["HPTTL", "h", "FIELDS", "1", "x"],
    ],
)


def steps(text: str) -> list[list[str]]:
    """The requests of a transcript."""
    return [split(line) for line in text.splitlines() if line.strip()]


CASES = [*(Case(name, steps(text)) for name, text in TRANSCRIPTS.items()), OVER]
