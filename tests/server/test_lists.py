"""List commands on one group against a Python list, small and large."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from resp.values import NULL_ARRAY, Error
from server.errors import WRONG_TYPE
from server.types import lists
from server.types.listpack_sizes import element_bytes
from tests.server.harness import Group

values = st.sampled_from([b"a", b"b", b"c", b"", b"x" * 300])
indexes = st.integers(-8, 8)
ends = st.sampled_from(["L", "R"])


class OneList(RuleBasedStateMachine):
    """Each rule is a command on `k`, and the same done to a Python list."""

    def __init__(self) -> None:
        super().__init__()
        self.group = Group()
        self.model: list[bytes] = []

    @rule(end=ends, pushed=st.lists(values, min_size=1, max_size=6))
    def push(self, end: str, pushed: list[bytes]) -> None:
        self.model = [*reversed(pushed), *self.model] if end == "L" else [*self.model, *pushed]
        assert self.group.run(f"{end}PUSH", "k", *pushed) == len(self.model)

    @rule(end=ends, count=st.integers(0, 5))
    def pop(self, end: str, count: int) -> None:
        reply = self.group.run(f"{end}POP", "k", str(count))
        if not self.model:
            assert reply is NULL_ARRAY
        elif end == "L":
            assert reply == self.model[:count]
            self.model = self.model[count:]
        else:
            assert reply == self.model[::-1][:count]
            self.model = self.model[: max(len(self.model) - count, 0)]

    @rule(index=indexes, value=values)
    def set(self, index: int, value: bytes) -> None:
        reply = self.group.run("LSET", "k", str(index), value)
        if -len(self.model) <= index < len(self.model):
            self.model[index] = value
        else:
            assert isinstance(reply, Error)

    @rule(pivot=values, value=values, after=st.booleans())
    def insert(self, pivot: bytes, value: bytes, after: bool) -> None:
        reply = self.group.run("LINSERT", "k", "AFTER" if after else "BEFORE", pivot, value)
        if not self.model:
            assert reply == 0
        elif pivot not in self.model:
            assert reply == -1
        else:
            self.model.insert(self.model.index(pivot) + after, value)
            assert reply == len(self.model)

    @rule(count=st.integers(-3, 3), value=values)
    def remove(self, count: int, value: bytes) -> None:
        found = [index for index, element in enumerate(self.model) if element == value]
        found = found[count:] if count < 0 else found[: count or None]
        self.model = [element for index, element in enumerate(self.model) if index not in found]
        assert self.group.run("LREM", "k", str(count), value) == len(found)

    @rule(start=indexes, stop=indexes)
    def trim(self, start: int, stop: int) -> None:
        self.model = self.span(start, stop)
        self.group.run("LTRIM", "k", str(start), str(stop))

    @rule(take=ends, give=ends)
    def rotate(self, take: str, give: str) -> None:
        words = {"L": "LEFT", "R": "RIGHT"}
        reply = self.group.run("LMOVE", "k", "k", words[take], words[give])
        if not self.model:
            assert reply is None
            return
        value = self.model.pop(0 if take == "L" else -1)
        self.model.insert(0 if give == "L" else len(self.model), value)
        assert reply == value

    @rule(start=indexes, stop=indexes, value=values)
    def look(self, start: int, stop: int, value: bytes) -> None:
        assert self.group.run("LRANGE", "k", str(start), str(stop)) == self.span(start, stop)
        inside = -len(self.model) <= start < len(self.model)
        assert self.group.run("LINDEX", "k", str(start)) == (self.model[start] if inside else None)
        all_of_it = [index for index, element in enumerate(self.model) if element == value]
        assert self.group.run("LPOS", "k", value, "COUNT", "0") == all_of_it
        assert self.group.run("LPOS", "k", value, "COUNT", "0", "RANK", "-2") == all_of_it[::-1][1:]

    def span(self, start: int, stop: int) -> list[bytes]:
        length = len(self.model)
        return [
            element
            for index, element in enumerate(self.model)
            if (start if start >= 0 else start + length) <= index <= (stop if stop >= 0 else stop + length)
        ]

    @invariant()
    def it_is_the_same_list(self) -> None:
        assert self.group.run("LRANGE", "k", "0", "-1") == self.model
        assert self.group.run("LLEN", "k") == len(self.model)
        assert self.group.begin().exists(b"k") == bool(self.model)

    @invariant()
    def nothing_else_lies_about(self) -> None:
        collection = self.group.begin().collection(b"k", 1)
        assert collection is None or len(collection.range()) == len(self.model)

    @invariant()
    def its_size_is_that_of_its_elements(self) -> None:
        found = lists.find(self.group.begin(), b"k")
        assert found is None or found.size_bytes == sum(map(element_bytes, self.model))


TestOneList = OneList.TestCase
TestOneList.settings = settings(max_examples=40, stateful_step_count=25)


@pytest.mark.parametrize(
    "request_",
    [
        *("LPUSH s 1", "RPUSHX s 1", "LPOP s", "RPOP s 1", "LLEN s", "LINDEX s 0", "LRANGE s 0 1"),
        *("LSET s 0 x", "LINSERT s BEFORE a b", "LREM s 0 a", "LPOS s a", "LTRIM s 0 1", "LMPOP 1 s LEFT"),
        *(
            "LMOVE s l LEFT LEFT",
            "LMOVE l s LEFT LEFT",
            "RPOPLPUSH l s",
            "BLPOP s 0",
            "BLMOVE l s LEFT LEFT 0",
        ),
    ],
)
def test_what_is_no_list_is_refused_and_left_alone(request_: str) -> None:
    group = Group()
    group.run("SET", "s", "text")
    group.run("RPUSH", "l", "1", "2")
    assert group.run(*request_.split()) == Error(WRONG_TYPE)
    assert group.written == {}


def test_a_push_to_a_long_list_writes_two_records() -> None:
    group = Group()
    group.run("RPUSH", "k", *[str(number) for number in range(1000)])
    for request in ("LPUSH k x", "RPUSH k x", "LPOP k", "RPOP k", "LSET k 500 x", "LINSERT k BEFORE 1 x"):
        group.run(*request.split())
        assert len(group.written) <= 4, request
