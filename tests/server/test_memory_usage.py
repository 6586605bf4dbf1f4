"""MEMORY USAGE: what a key takes in the store, and how near a few samples come."""

from typing import Any

import pytest

from resp.values import Error
from tests.server.harness import Group

MANY = 1000
REQUESTS: dict[str, list[list[Any]]] = {
    "string": [["SET", "k", "x" * 100]],
    "small list": [["RPUSH", "k", "a", "b"]],
    "list": [["RPUSH", "k", *["x" * 40] * MANY]],
    "set": [["SADD", "k", *(f"member:{at:05}" for at in range(MANY))]],
    "sorted set": [["ZADD", "k", *(part for at in range(MANY) for part in (str(at), f"member:{at:05}"))]],
    "hash": [["HSET", "k", *(part for at in range(MANY) for part in (f"field:{at:05}", "x" * 20))]],
    "expiring hash": [
        ["HSET", "k", *(part for at in range(MANY) for part in (f"field:{at:05}", "x" * 20))],
        ["HPEXPIREAT", "k", "33000000000000", "FIELDS", "300", *(f"field:{at:05}" for at in range(300))],
    ],
    "stream": [["XADD", "k", f"{at + 1}-1", "field", "x" * 20] for at in range(MANY)],
    "stream with a group": [
        *(["XADD", "k", f"{at + 1}-1", "field", "x" * 20] for at in range(MANY)),
        ["XGROUP", "CREATE", "k", "group", "0"],
        ["XREADGROUP", "GROUP", "group", "al", "COUNT", "400", "STREAMS", "k", ">"],
        ["XREADGROUP", "GROUP", "group", "bo", "COUNT", "100", "STREAMS", "k", ">"],
    ],
}


@pytest.fixture(params=REQUESTS)
def group(request: pytest.FixtureRequest) -> Group:
    """A group that holds `k` and nothing else."""
    made = Group()
    for each in REQUESTS[request.param]:
        assert not isinstance(made.run(*each), Error)
    return made


def stored_bytes(group: Group) -> int:
    """All records but Meta, with their keys."""
    return sum(len(key) + len(value) for key, value in group.store.scan(b"", b"\xff") if key != b"m")


def test_all_samples_are_exact(group: Group) -> None:
    indexes = sum(len(key) for key, _ in group.store.scan(b"y", b"z"))
    assert group.run("MEMORY", "USAGE", "k", "SAMPLES", "0") == stored_bytes(group) - indexes


@pytest.mark.parametrize(
    "samples", [[], ["SAMPLES", "1"], ["SAMPLES", "100"], ["SAMPLES", "1", "SAMPLES", "5"]]
)
def test_samples_of_like_elements_are_nearly_exact(group: Group, samples: list[str]) -> None:
    exact = group.run("MEMORY", "USAGE", "k", "SAMPLES", "0")
    assert abs(group.run("MEMORY", "USAGE", "k", *samples) - exact) <= exact / 20


def test_only_the_first_elements_are_looked_at() -> None:
    group = Group()
    group.run("RPUSH", "k", *["x"] * 200, "y" * 100_000)
    assert group.run("MEMORY", "USAGE", "k") < 10_000 < group.run("MEMORY", "USAGE", "k", "SAMPLES", "0")


def test_there_is_no_usage_of_no_key() -> None:
    assert Group().run("MEMORY", "USAGE", "k", "SAMPLES", "0") is None
