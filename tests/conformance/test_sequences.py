"""Random sequences of commands to a real Valkey and to Redraft: the replies are the same.

A failure is made as short as it gets and printed as one would type it into redis-cli. `CONFORMANCE_EXAMPLES=10000`
looks much further than the default, on the standalone server; the cluster gets a quarter.
"""

import os

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.conformance.commands import KEYS_USED, PARTS, sequences
from tests.conformance.harness.compare import agree, run, transcript
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Request

ORDERS = {b"hash": ["HGETALL"], b"set": ["SMEMBERS"]}
EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "150"))


def bounded(examples: int) -> settings:
    """So many sequences a family."""
    return settings(
        max_examples=examples,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        print_blob=True,
    )


def check(valkey: Server, redraft: Server, steps: list[Request], protocol: int) -> None:
    """Run the sequence on both and compare; then whether small hashes and sets are in the same order."""
    note(f"redis-cli -{protocol}\n{transcript(steps)}")
    theirs, ours = (run(server, "", steps, protocol) for server in (valkey, redraft))
    for number, (step, expected, got) in enumerate(zip(steps, theirs, ours, strict=True), 1):
        assert agree(step, expected, got, held=True), (
            f"request {number}, {transcript([step])}\nvalkey:  {expected}\nredraft: {got}"
        )
    with Connection(HOST, valkey.port) as their_client, Connection(HOST, redraft.port) as our_client:
        for key in KEYS_USED:
            if their_client.ask("OBJECT", "ENCODING", key).value in (b"listpack", b"intset"):
                asks = ORDERS.get(their_client.ask("TYPE", key).value)
                assert asks is None or our_client.ask(*asks, key) == their_client.ask(*asks, key), (asks, key)


@pytest.mark.parametrize("family", PARTS)
def test_a_standalone_server_answers_as_valkey(valkey: Server, standalone: Server, family: str) -> None:
    @bounded(EXAMPLES)
    @given(steps=sequences(family), protocol=st.sampled_from([2, 3]))
    def compare(steps: list[Request], protocol: int) -> None:
        check(valkey, standalone, steps, protocol)

    compare()


@pytest.mark.parametrize("family", PARTS)
def test_a_cluster_answers_as_valkey(valkey: Server, cluster: Server, family: str) -> None:
    @bounded(max(EXAMPLES // 4, 1))
    @given(steps=sequences(family), protocol=st.sampled_from([2, 3]))
    def compare(steps: list[Request], protocol: int) -> None:
        check(valkey, cluster, steps, protocol)

    compare()
