"""GET answers by what is at hand when it can: whatever happens to keys and databases, it says what is true."""

from random import Random

import pytest
from redis import Redis

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

KEYS = [b"{t}%d" % number for number in range(6)] + [b"a", b"b", b"c"]
DATABASES = 3

Databases = list[dict[bytes, bytes]]


def change(random: Random, client: Redis, databases: Databases, db: int) -> None:
    """One random write to database `db`, and the same to the model."""
    here = databases[db]
    key, other = random.sample(KEYS[:6], 2)
    value = b"%d" % random.randrange(1000)
    match random.randrange(12):
        case 0 | 1 | 2:
            client.set(key, value)
            here[key] = value
        case 3:
            client.delete(key)
            here.pop(key, None)
        case 4:
            client.getdel(key)
            here.pop(key, None)
        case 5:
            client.append(key, value)
            here[key] = here.get(key, b"") + value
        case 6:
            if client.copy(key, other, replace=True):
                here[other] = here[key]
        case 7:
            if key in here:
                client.rename(key, other)
                here[other] = here.pop(key)
        case 8:
            client.expire(key, 0)
            here.pop(key, None)
        case 9:
            with client.pipeline(transaction=True) as transaction:
                transaction.set(key, value).get(key).delete(other).get(other)
                assert transaction.execute()[1::2] == [value, None]
            here[key] = value
            here.pop(other, None)
        case 10:
            to = (db + 1) % DATABASES
            if client.move(key, to):
                databases[to][key] = here.pop(key)
        case 11:
            if random.random() < 0.3:
                client.flushdb()
                here.clear()
            else:
                client.swapdb(db, (db + 1) % DATABASES)
                to = (db + 1) % DATABASES
                databases[db], databases[to] = databases[to], databases[db]


@on("standalone", "forward")
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_a_get_says_what_the_last_write_made_of_the_key(server: Server, protocol: int, seed: int) -> None:
    random = Random(seed)
    databases: Databases = [{} for _ in range(DATABASES)]
    clients = [Redis(HOST, server.ports[0], db=db, protocol=protocol) for db in range(DATABASES)]
    elsewhere = [Redis(HOST, server.ports[-1], db=db, protocol=protocol) for db in range(DATABASES)]
    for _ in range(200):
        db = random.randrange(DATABASES)
        change(random, random.choice((clients, elsewhere))[db], databases, db)
        db = random.randrange(DATABASES)
        reads = random.choices(KEYS, k=12)
        with random.choice((clients, elsewhere))[db].pipeline(transaction=False) as pipeline:
            for key in reads:
                pipeline.get(key)
            assert pipeline.execute() == [databases[db].get(key) for key in reads]
    for client in clients + elsewhere:
        client.close()


@on("standalone")
def test_a_key_with_an_expiry_ends_whoever_read_it(server: Server) -> None:
    with Redis(HOST, server.ports[0]) as client:
        client.set("k", "v")
        assert client.get("k") == client.get("k") == b"v"
        client.pexpire("k", 1)
        while client.pttl("k") != -2:
            pass
        assert client.get("k") is None
        assert client.get("k") is None
        client.set("k", "w")
        assert client.get("k") == b"w"
