"""A string as an array of integers of any width at any bit, which is what BITFIELD works on."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from server.keyspace.view import View
from server.types import strings
from server.types.numbers import INT64_MAX


class Action(Enum):
    """What to do with a field."""

    GET = "get"
    SET = "set"
    INCREMENT = "incrby"


class Overflow(Enum):
    """What becomes of a number that its field can not hold."""

    WRAP = "wrap"
    """Keep the low bits."""
    SATURATE = "sat"
    """Take the nearest number that fits."""
    FAIL = "fail"
    """Change nothing, answer None."""


class Step(NamedTuple):
    """One operation on one field."""

    action: Action
    signed: bool
    width: int
    """In bits: 1 to 64, 63 for unsigned ones."""
    offset: int
    """Of the highest bit."""
    operand: int
    """The value of SET, the increment of INCREMENT."""
    overflow: Overflow


def run(view: View, key: bytes, steps: Sequence[Step]) -> list[int | None]:
    """Carry out `steps` on `key`, in order. Returns the number of each: the field's content for GET, the one before
    for SET, the new one for INCREMENT; None where FAIL struck.

    If any step writes, the string is made long enough for all that write, even where these then fail.
    """
    old = strings.head(view, key)
    content = b"" if old is None else old.payload
    needed = max(
        (step.offset + step.width + 7 >> 3 for step in steps if step.action is not Action.GET), default=0
    )
    if not needed:
        return [_read(content, step) for step in steps]
    data = bytearray(content.ljust(needed, b"\0"))
    changed = len(data) != len(content)
    replies: list[int | None] = []
    for step in steps:
        before = _read(data, step)
        if step.action is Action.GET:
            replies.append(before)
            continue
        number = _fitted(_wanted(before, step), step)
        if number is None:
            replies.append(None)
            continue
        replies.append(number if step.action is Action.INCREMENT else before)
        if number != before:
            changed = True
            _write(data, step, number)
    if changed:
        strings.replace(view, key, old, bytes(data), strings.RAW, b"setbit")
    return replies


def _window(step: Step) -> tuple[int, int, int]:
    """The bytes [first, stop) that a field touches, and how many bits follow it in the last one."""
    stop_bit = step.offset + step.width
    return step.offset >> 3, stop_bit + 7 >> 3, -stop_bit & 7


def _read(data: bytes | bytearray, step: Step) -> int:
    first, stop, below = _window(step)
    window = int.from_bytes(data[first:stop].ljust(stop - first, b"\0"), "big")
    number = window >> below & ((1 << step.width) - 1)
    if step.signed and number >> (step.width - 1):
        number -= 1 << step.width
    return number


def _write(data: bytearray, step: Step, number: int) -> None:
    first, stop, below = _window(step)
    mask = (1 << step.width) - 1
    window = int.from_bytes(data[first:stop], "big")
    window = window & ~(mask << below) | (number & mask) << below
    data[first:stop] = window.to_bytes(stop - first, "big")


def _wanted(before: int, step: Step) -> int:
    """The number that a step would store if its field had no limits."""
    if step.action is Action.INCREMENT:
        return before + step.operand
    # As in Redis, the operand of an unsigned SET is 64 bits whatever its sign: -1 saturates at the top.
    return step.operand if step.signed else step.operand & 0xFFFF_FFFF_FFFF_FFFF


def _fitted(number: int, step: Step) -> int | None:
    """`number` as the field can hold it, None when it can not and must not be changed."""
    span = 1 << step.width
    low = -(span >> 1) if step.signed else 0
    high = low + span - 1
    if low <= number <= high:
        return number
    if step.overflow is Overflow.FAIL:
        return None
    if step.overflow is Overflow.SATURATE:
        # A SET of the most negative numbers saturates at the top: Redis compares a difference that wraps at 64 bits.
        wraps = step.action is Action.SET and high - number > INT64_MAX
        return high if number > high or wraps else low
    return (number - low) % span + low
