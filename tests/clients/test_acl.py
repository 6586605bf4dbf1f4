"""Users with redis-py's own methods, on one server and on the nodes of a cluster."""

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import redis
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

pytestmark = [on("standalone", "forward", "redirect"), pytest.mark.parametrize("protocol", [2, 3])]


@pytest.fixture
def admin(server: Server, protocol: int) -> Iterator[Redis]:
    with Redis(HOST, server.port, protocol=protocol, decode_responses=True) as client:
        yield client
        client.acl_deluser("ann", "bob")


def as_ann(server: Server, protocol: int) -> Redis:
    """A client on the last node, which has heard of ann a moment after the first."""
    deadline_s = time.monotonic() + 90
    while True:
        client = Redis(
            HOST,
            server.ports[-1],
            protocol=protocol,
            username="ann",
            password="pw",
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        try:
            client.acl_whoami()
            return client
        except redis.AuthenticationError:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)


def test_a_user_is_made_shown_and_deleted(admin: Redis) -> None:
    assert admin.acl_setuser(
        "ann",
        enabled=True,
        passwords=["+pw", "+second"],
        categories=["+@hash", "-@write"],
        commands=["+get", "-hget"],
        keys=["cache:*", "objects:*"],
        channels=["message:*"],
        selectors=[("+set", "%W~app*")],
    )
    shown = admin.acl_getuser("ann")
    assert "on" in shown["flags"]
    assert len(shown["passwords"]) == 2
    assert shown["keys"] == ["~cache:*", "~objects:*"]
    assert shown["channels"] == ["&message:*"]
    assert sorted(shown["categories"]) == ["+@hash", "-@all", "-@write"]
    assert shown["commands"] == ["+get", "-hget"]
    assert "%W~app*" in str(shown["selectors"])
    assert admin.acl_users() == ["ann", "default"]
    assert admin.acl_list()[0].startswith("user ann on #")
    assert admin.acl_whoami() == "default"
    assert admin.acl_setuser("ann", reset=True, reset_passwords=True)
    assert admin.acl_getuser("ann")["passwords"] == []
    assert admin.acl_deluser("ann") == 1
    assert admin.acl_getuser("ann") is None


def test_what_a_user_may_not_do_raises(server: Server, admin: Redis, protocol: int) -> None:
    admin.acl_setuser("ann", enabled=True, passwords=["+pw"], keys=["mine"], commands=["+get", "+acl|whoami"])
    with as_ann(server, protocol) as ann:
        assert ann.acl_whoami() == "ann"
        with suppress(redis.exceptions.MovedError):
            assert ann.get("mine") is None
        with pytest.raises(redis.exceptions.NoPermissionError):
            ann.get("other")
        with pytest.raises(redis.exceptions.NoPermissionError):
            ann.set("mine", "1")
    with Redis(HOST, server.ports[-1], protocol=protocol) as client:
        log = client.acl_log()
        assert {entry["reason"] for entry in log} >= {"key", "command"}
        assert "ann" in str(log[0]["client-info"])
        assert client.acl_log_reset()
    assert admin.acl_dryrun("ann", "get", "mine")
    assert "no permissions" in admin.acl_dryrun("ann", "get", "other")


def test_passwords_and_categories(admin: Redis) -> None:
    assert len(admin.acl_genpass()) == 64
    assert len(admin.acl_genpass(5)) == 2
    with pytest.raises(redis.DataError):
        admin.acl_genpass("none")
    assert "read" in admin.acl_cat()
    assert "get" in admin.acl_cat("read")
    assert admin.acl_help()
    for call in (admin.acl_load, admin.acl_save):
        with pytest.raises(redis.ResponseError, match="not configured to use an ACL file"):
            call()
