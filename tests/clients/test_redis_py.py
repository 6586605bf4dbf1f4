"""redis-py's plain client, on one server and on any node of a forwarding cluster: programs notice no difference."""

import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

pytestmark = [on("standalone", "forward"), pytest.mark.parametrize("protocol", [2, 3])]

Connect = Callable[..., Redis]


@pytest.fixture
def connect(server: Server, protocol: int) -> Iterator[Connect]:
    """Makes clients; each talks to the next node."""
    clients: list[Redis] = []

    def make(**options: object) -> Redis:
        port = server.ports[len(clients) % len(server.ports)]
        clients.append(Redis(HOST, port, protocol=protocol, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_strings_and_counters(connect: Connect) -> None:
    client = connect(decode_responses=True)
    assert client.set("name", "Ada", ex=1000)
    assert client.get("name") == "Ada"
    assert 900 < client.ttl("name") <= 1000
    assert client.incr("visits", 3) == 3
    assert client.incrbyfloat("ratio", 0.5) == 0.5
    assert client.mset({f"{{tag}}:{number}": number for number in range(50)})
    assert client.mget([f"{{tag}}:{number}" for number in range(50)]) == [str(number) for number in range(50)]
    assert client.set("name", "Grace", get=True) == "Ada"
    assert client.set("name", "nobody", nx=True) is None
    assert client.delete("name", "visits", "nosuch") == 2
    assert client.dbsize() == 51


def test_what_one_node_wrote_every_node_reads_at_once(connect: Connect) -> None:
    clients = [connect() for _ in range(3)]
    for number in range(60):
        clients[number % 3].set(f"k{number}", number)
        assert {client.get(f"k{number}") for client in clients} == {b"%d" % number}


def test_a_pipeline_answers_in_order_over_all_groups(connect: Connect) -> None:
    pipeline = connect().pipeline(transaction=False)
    for number in range(500):
        pipeline.set(f"k{number}", number)
        pipeline.get(f"k{number}")
        pipeline.incr("total")
    replies = pipeline.execute()
    assert replies[1::3] == [b"%d" % number for number in range(500)]
    assert replies[2::3] == list(range(1, 501))


def test_an_error_in_a_pipeline_is_its_commands_alone(connect: Connect) -> None:
    client = connect()
    client.set("text", "x")
    replies = client.pipeline(transaction=False).incr("text").get("text").execute(raise_on_error=False)
    assert isinstance(replies[0], redis.ResponseError)
    assert replies[1] == b"x"


def test_a_transaction_is_all_or_nothing(connect: Connect) -> None:
    client = connect()
    assert client.pipeline().set("{t}a", 1).incr("{t}a").get("{t}a").execute() == [True, 2, b"2"]
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        client.pipeline().set("{t}a", 5).execute_command("GET").execute()
    assert client.get("{t}a") == b"2"


def test_watch_and_retry_loses_no_increment(connect: Connect) -> None:
    """The textbook read-modify-write, by several threads at once."""
    rounds = 30

    def add(client: Redis) -> None:
        for _ in range(rounds):
            client.transaction(increment, "{t}counter", "{t}unrelated", watch_delay=0.001)

    def increment(pipeline: redis.client.Pipeline) -> None:
        value = int(pipeline.get("{t}counter") or 0)
        pipeline.multi()
        pipeline.set("{t}counter", value + 1)

    threads = [threading.Thread(target=add, args=(connect(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connect().get("{t}counter") == b"%d" % (3 * rounds)


def test_a_lock_is_held_by_one_until_its_time_is_over(connect: Connect) -> None:
    """Releasing it before takes a script, which is another matter."""
    client, other = connect(), connect()
    lock = client.lock("lock", timeout=2)
    assert lock.acquire()
    assert lock.owned()
    assert other.lock("lock", timeout=30, sleep=0.01, blocking_timeout=30).acquire()
    assert not lock.owned()
    assert not client.lock("lock", blocking=False).acquire()


def test_a_watched_key_that_changes_raises_watch_error(connect: Connect) -> None:
    client, other = connect(), connect()
    with client.pipeline() as pipeline:
        pipeline.watch("k")
        other.set("k", 1)
        pipeline.multi()
        pipeline.set("k", 2)
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert client.get("k") == b"1"


def test_a_scan_finds_every_key_once_or_more(connect: Connect) -> None:
    client = connect()
    names = {b"key:%d" % number for number in range(700)}
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.set(name, b"v")
    pipeline.set("other", 1).execute()
    assert set(client.scan_iter(match="key:*", count=50)) == names
    assert set(client.keys("key:*")) == names
    assert client.dbsize() == len(names) + 1


def test_databases_are_apart(connect: Connect) -> None:
    connect().set("k", "zero")
    assert connect(db=3).get("k") is None
    connect(db=3).set("k", "three")
    assert connect(db=0).get("k") == b"zero"
    assert connect(db=0).move("k", 5) is True
    assert connect(db=5).get("k") == b"zero"


def test_any_bytes_travel(connect: Connect) -> None:
    client = connect()
    key, value = bytes(range(256)), bytes(range(256)) * 8192
    client.set(key, value)
    assert client.get(key) == value
    client.restore("copy", 0, client.dump(key))
    assert client.get("copy") == value


def test_a_pool_is_shared_by_threads(connect: Connect) -> None:
    client = connect(max_connections=20)

    def add() -> None:
        for number in range(100):
            client.incr("total")
            client.set(f"{threading.get_ident()}:{number}", number)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("total") == b"800"
    assert client.dbsize() == 801


def test_a_blocking_pool_waits_for_a_connection(server: Server, protocol: int) -> None:
    pool = redis.BlockingConnectionPool(
        host=HOST, port=server.port, protocol=protocol, max_connections=2, timeout=120
    )
    with Redis.from_pool(pool) as client:
        threads = [threading.Thread(target=client.incr, args=("k",)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.get("k") == b"20"


def test_a_client_from_a_url_is_named_and_found(server: Server, protocol: int) -> None:
    url = f"redis://{HOST}:{server.port}/2?protocol={protocol}&client_name=worker&health_check_interval=1"
    with Redis.from_url(url, decode_responses=True) as client:
        assert client.ping()
        (me,) = [entry for entry in client.client_list() if entry["name"] == "worker"]
        assert me["db"] == "2"
        assert int(me["id"]) == client.client_id()
        assert me["lib-name"].startswith("redis-py")


def test_a_killed_connection_is_made_again(connect: Connect) -> None:
    client = connect(retry=Retry(NoBackoff(), 3), retry_on_error=[redis.ConnectionError])
    identity = client.client_id()
    with Redis(HOST, client.get_connection_kwargs()["port"]) as killer:
        assert killer.client_kill_filter(_id=str(identity)) == 1
    assert client.set("k", 1)
    assert client.client_id() != identity


def test_expiry_is_seen_by_clients(connect: Connect) -> None:
    client = connect()
    client.set("k", 1)
    assert client.expireat("k", 33000000000)
    assert client.expiretime("k") == 33000000000
    assert client.persist("k")
    assert client.ttl("k") == -1
    assert client.pexpire("k", -1)
    assert client.exists("k") == 0


def test_info_config_and_the_like_are_parsed(connect: Connect) -> None:
    client = connect(decode_responses=True)
    assert client.info()["redis_version"]
    assert client.set("k", 1)
    assert client.info("server")["tcp_port"] == client.get_connection_kwargs()["port"]
    assert client.config_set("slowlog-max-len", "129")
    assert client.config_get("slowlog-max-len") == {"slowlog-max-len": "129"}
    assert client.config_set("slowlog-max-len", "128")
    assert client.command_count() == len(client.command())
    assert client.object("ENCODING", "nosuch") is None
    assert len(client.time()) == 2
    assert isinstance(client.slowlog_get(), list)
    assert client.memory_usage("nosuch") is None
    assert client.echo("x") == "x"
    assert client.wait(0, 10) in (0, 1, 2)


def test_a_monitor_sees_what_others_do(connect: Connect) -> None:
    client = connect()
    with client.monitor() as monitor:
        threading.Thread(target=connect_to_same(client), daemon=True).start()
        seen = next(entry["command"] for entry in monitor.listen() if entry["command"].startswith("SET"))
    assert seen == "SET observed 1"


def connect_to_same(client: Redis) -> Callable[[], object]:
    """Something to be seen by a monitor of the same node."""

    def act() -> None:
        with Redis(HOST, client.get_connection_kwargs()["port"]) as other:
            other.set("observed", 1)

    return act


def test_scripts_and_locks(connect: Connect) -> None:
    client, other = connect(decode_responses=True), connect(decode_responses=True)
    client.script_flush()
    add = client.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    assert [add(keys=["sum"], args=[2]), add(keys=["sum"], args=[3], client=other)] == [2, 5]
    with client.pipeline() as pipeline:
        add(keys=["sum"], args=[4], client=pipeline)
        assert pipeline.execute() == [9]
    lock = client.lock("door", timeout=100)
    assert lock.acquire(blocking=False)
    assert not other.lock("door", timeout=100).acquire(blocking=False)
    lock.extend(50)
    assert 110 < client.ttl("door") <= 150
    assert lock.reacquire()
    assert 60 < client.ttl("door") <= 100
    lock.release()
    with pytest.raises(redis.exceptions.LockError):
        lock.release()
    assert other.lock("door", timeout=100).acquire(blocking=False)
