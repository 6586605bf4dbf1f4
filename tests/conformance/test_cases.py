"""Every case of cases/, to a real Valkey and to Redraft: the replies are the same, types and error texts included.

A cluster refuses commands whose keys lie in different shard groups; a case that meets this there is run again, by both,
with its keys in one slot.
"""

import importlib
import pkgutil
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

import pytest

from tests.conformance import cases
from tests.conformance.cases import Case
from tests.conformance.differences import DIFFERENCES, Difference
from tests.conformance.harness.compare import agree, in_one_slot, requests_of, run, transcript
from tests.conformance.harness.servers import Server
from tests.conformance.harness.wire import Reply, Request

PROTOCOLS = (2, 3)


def all_cases() -> dict[str, Case]:
    """Full name to case, of every file."""
    found: dict[str, Case] = {}
    for module in pkgutil.iter_modules(cases.__path__):
        for case in importlib.import_module(f"{cases.__name__}.{module.name}").CASES:
            name = f"{module.name}: {case.name}"
            assert name not in found, f"two cases are called {name}"
            found[name] = case
    return found


CASES = all_cases()


@lru_cache(maxsize=8)  # the same case for the other server comes next
def replies_of_valkey(valkey: Server, name: str, protocol: int, one_slot: bool) -> Sequence[Reply]:
    steps = CASES[name].steps
    return run(valkey, name, in_one_slot(steps) if one_slot else steps, protocol)


def disagreements(
    valkey: Server, redraft: Server, name: str, protocol: int
) -> list[tuple[int, Request, Reply, Reply]]:
    """(number, request, Valkey's reply, ours) where they differ."""
    steps: Sequence[Request] = CASES[name].steps
    theirs = replies_of_valkey(valkey, name, protocol, False)
    ours = run(redraft, name, steps, protocol)
    if any(reply.contains_error(b"CROSSSLOT") for reply in ours):
        steps = in_one_slot(steps)
        theirs = replies_of_valkey(valkey, name, protocol, True)
        ours = run(redraft, name, steps, protocol)
    requests = requests_of(steps)
    assert len(theirs) == len(ours) == len(requests)
    return [
        (number, step, expected, got)
        for number, (step, expected, got) in enumerate(zip(requests, theirs, ours, strict=True))
        if not agree(step, expected, got)
    ]


def applies(difference: Difference, server: Server, name: str) -> bool:
    return fnmatchcase(server.name, difference.server) and fnmatchcase(name, difference.case)


def meant(difference: Difference, step: Request, got: Reply) -> bool:
    words = [word if isinstance(word, str) else word.decode("latin-1") for word in step]
    return fnmatchcase(" ".join(words), difference.request) and bool(re.search(difference.ours, str(got)))


@pytest.mark.parametrize("name", CASES)
def test_replies_are_those_of_valkey(valkey: Server, redraft: Server, name: str) -> None:
    declared = [difference for difference in DIFFERENCES if applies(difference, redraft, name)]
    for protocol in PROTOCOLS:
        wrong = [
            f"step {number} (RESP{protocol}): {transcript([step])[:500]}\n"
            f"valkey:  {str(theirs)[:1000]}\nredraft: {str(ours)[:1000]}"
            for number, step, theirs, ours in disagreements(valkey, redraft, name, protocol)
            if not any(meant(difference, step, ours) for difference in declared)
        ]
        assert not wrong, "\n".join([f"{len(wrong)} replies differ", *wrong[:20]])


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda entry: f"{entry.case}: {entry.request}")
def test_what_is_declared_to_differ_does(
    valkey: Server, standalone: Server, cluster: Server, difference: Difference
) -> None:
    assert any(
        meant(difference, step, ours)
        for server in (standalone, cluster)
        for name in CASES
        if applies(difference, server, name)
        for protocol in PROTOCOLS
        for _, step, _, ours in disagreements(valkey, server, name, protocol)
    )
