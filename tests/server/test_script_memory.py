"""Scripts that want more memory than there is: they fail, and nothing else does."""

from collections.abc import Callable
from itertools import count as counter
from typing import Any

import pytest

from resp.values import Error
from server.errors import CommandError
from server.scripting import memory
from server.scripting.interpreter import Commands, Interpreter


class Answers(Commands):
    """Commands that all answer the same."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__()
        self.answer = answer

    def call(self, args: list[bytes], protocol: int) -> Any:
        return self.answer()

    def may(self, args: list[bytes]) -> bool | None:
        return True


NONE = Answers(lambda: None)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """An interpreter with room for little. If Lua were short of memory where Python gives it something, it would end
    the process."""
    monkeypatch.setattr(memory, "memory_bytes_max", 16 << 20)
    monkeypatch.setattr(memory, "room_bytes", 1 << 20)
    return Interpreter()


GARBAGE = b"local t = {} for i = 1, 1e8 do t[i] = {i} end"
ROWS = [b"%d" % number for number in range(5000)]


def test_a_script_that_wants_too_much_leaves_room_for_the_next(little_memory: Interpreter) -> None:
    for _ in range(3):
        with pytest.raises(CommandError, match="user_script"):
            little_memory.run(little_memory.compile(GARBAGE), [], 0, NONE)
        for text in (b"return ARGV[1]", b"return ARGV[1] --" + b"x" * 4_000_000):
            words = [b"x" * 1_000_000] * 5
            assert little_memory.run(little_memory.compile(text), words, 0, NONE) == words[0]


@pytest.mark.parametrize("count", [30, 300])
def test_words_that_are_more_than_a_script_may_have_reach_it(little_memory: Interpreter, count: int) -> None:
    words = [b"%d" % number + b"x" * (30_000_000 // count) for number in range(count)]
    assert little_memory.run(little_memory.compile(b"return ARGV[#ARGV]"), words, 0, NONE) == words[-1]


@pytest.mark.parametrize(
    "reply", [ROWS, b"x" * 1_000_000, Error(b"ERR " + b"x" * 100_000)], ids=["rows", "text", "error"]
)
@pytest.mark.parametrize(
    "call", ["redis.pcall('get', #t)", "pcall(redis.call, 'get', #t)", "{redis.pcall('get', #t)}"]
)
def test_replies_that_are_more_than_a_script_may_have_end_it(
    little_memory: Interpreter, call: str, reply: Any
) -> None:
    replies = counter()

    def answer() -> Any:
        number = b"%d" % next(replies)
        if isinstance(reply, list):
            return [number + row for row in reply]
        return number + reply if isinstance(reply, bytes) else Error(reply.text + number)

    script = b"local t = {} while true do t[#t + 1] = {%b} end" % call.encode()
    with pytest.raises(CommandError, match="not enough memory"):
        little_memory.run(little_memory.compile(script), [], 0, Answers(answer))
    assert next(replies) < 1000
