"""The checker itself: what it must accept, what it must reject, and agreement with a checker that tries
everything."""

from itertools import permutations
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processes.linearizability import (
    NEVER,
    Operation,
    Reply,
    State,
    apply,
    check_key,
    load,
    save,
    smallest_wrong_prefix,
    wrong_keys,
)


def op(sent: int, done: int, *command: str, reply: Reply = None, key: str = "k") -> Operation:
    return Operation("c", key, command, sent, done, reply)


def test_commands_one_after_another_give_what_a_single_server_gives() -> None:
    assert check_key(
        [
            op(0, 1, "get"),
            op(2, 3, "set", "a", reply="OK"),
            op(4, 5, "get", reply="a"),
            op(6, 7, "set", "b", "nx"),
            op(8, 9, "set", "b", "ifeq", "a", reply="OK"),
            op(10, 11, "incr", reply="ERR"),
            op(12, 13, "del", reply=1),
            op(14, 15, "del", reply=0),
            op(16, 17, "incr", reply=1),
            op(18, 19, "incr", reply=2),
            op(20, 21, "get", reply="2"),
        ]
    )


def test_a_read_after_a_write_must_see_it() -> None:
    assert not check_key([op(0, 1, "set", "a", reply="OK"), op(2, 3, "get")])


def test_a_read_beside_a_write_may_see_it_or_not() -> None:
    write = op(0, 10, "set", "a", reply="OK")
    assert check_key([write, op(1, 2, "get")])
    assert check_key([write, op(1, 2, "get", reply="a")])


def test_what_one_client_has_read_a_later_read_can_not_unsee() -> None:
    write = op(0, 10, "set", "a", reply="OK")
    assert not check_key([write, op(1, 2, "get", reply="a"), op(3, 4, "get")])


def test_a_lost_increment_is_noticed() -> None:
    assert not check_key([op(0, 5, "incr", reply=1), op(1, 6, "incr", reply=1)])


def test_two_clients_can_not_both_win_the_same_comparison() -> None:
    start = op(0, 1, "set", "a", reply="OK")
    assert check_key(
        [start, op(2, 9, "set", "b", "ifeq", "a", reply="OK"), op(3, 8, "set", "c", "ifeq", "a")]
    )
    assert not check_key(
        [start, op(2, 9, "set", "b", "ifeq", "a", reply="OK"), op(3, 8, "set", "c", "ifeq", "a", reply="OK")]
    )


def test_an_unknown_write_may_have_happened_late_or_never() -> None:
    lost = op(0, NEVER, "set", "a")
    assert check_key([lost, op(5, 6, "get")])
    assert check_key([lost, op(5, 6, "get", reply="a")])
    assert check_key([lost, op(5, 6, "get"), op(7, 8, "get", reply="a")])


def test_an_unknown_write_happens_once_at_most() -> None:
    lost = op(0, NEVER, "set", "a")
    read_then_overwritten = [op(5, 6, "get", reply="a"), op(7, 8, "set", "b", reply="OK")]
    assert not check_key([lost, *read_then_overwritten, op(9, 10, "get", reply="a")])
    assert not check_key([op(0, NEVER, "incr"), op(1, 2, "incr", reply=3)])


def test_an_unknown_write_does_not_happen_before_it_was_sent() -> None:
    assert not check_key([op(0, 1, "get", reply="a"), op(2, NEVER, "set", "a")])


def test_keys_are_judged_apart_and_the_wrong_one_is_named() -> None:
    good = [op(0, 1, "set", "a", reply="OK", key="good"), op(2, 3, "get", reply="a", key="good")]
    bad = [op(0, 1, "set", "a", reply="OK", key="bad"), op(2, 3, "get", reply="b", key="bad")]
    assert wrong_keys([*good, *bad]) == ["bad"]


def test_the_smallest_wrong_prefix_ends_with_the_contradiction() -> None:
    history = [
        op(0, 1, "set", "a", reply="OK"),
        op(2, 3, "get", reply="stale"),
        op(4, 5, "set", "b", reply="OK"),
        op(6, 7, "get", reply="b"),
    ]
    assert smallest_wrong_prefix(history) == history[:2]


def test_a_history_can_be_written_down_and_judged_again(tmp_path: Path) -> None:
    history = [op(0, NEVER, "set", "a"), op(2, 3, "get", reply="b"), op(4, 5, "incr", reply=1)]
    save(tmp_path / "history", history)
    assert load(tmp_path / "history") == history
    assert wrong_keys(load(tmp_path / "history")) == ["k"]


def test_a_long_history_of_many_clients_is_judged_in_little_time() -> None:
    """Eight clients write at the same time, always; every tenth outcome is unknown."""
    history = []
    state: State = None
    for number in range(400):
        value = str(number)
        if number % 10 == 9:
            history.append(op(number * 10, NEVER, "set", f"lost{number}"))
        elif number % 3 == 0:
            history.append(op(number * 10 - 35, number * 10 + 35, "get", reply=state))
        else:
            history.append(op(number * 10 - 35, number * 10 + 35, "set", value, reply="OK"))
            state = value
    assert check_key(history)
    assert not check_key([*history, op(4100, 4101, "get", reply="17")])


def possible(operations: list[Operation]) -> bool:
    """The definition, tried out on every order of every choice of unknown operations."""
    known = [o for o in operations if not o.unknown]
    unknown = [o for o in operations if o.unknown]
    for picked in range(1 << len(unknown)):
        chosen = known + [o for number, o in enumerate(unknown) if picked >> number & 1]
        for order in permutations(chosen):
            if any(
                later.done_ns < earlier.sent_ns for at, later in enumerate(order) for earlier in order[:at]
            ):
                continue
            state: State = None
            for o in order:
                state, reply = apply(state, o.command)
                if not o.unknown and reply != o.reply:
                    break
            else:
                return True
    return False


COMMANDS = st.sampled_from(
    [
        ("get",),
        ("set", "1"),
        ("set", "x"),
        ("set", "1", "nx"),
        ("set", "x", "ifeq", "1"),
        ("incr",),
        ("del",),
    ]
)
REPLIES = st.sampled_from([None, "OK", "ERR", "1", "x", "2", 0, 1, 2])


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    history = []
    state: State = None
    for _ in range(draw(st.integers(1, 5))):
        command = draw(COMMANDS)
        sent = draw(st.integers(0, 12))
        done = draw(st.one_of(st.integers(sent + 1, 16), st.just(NEVER)))
        # Replies that one order would give make the interesting histories: nearly right ones.
        state, reply = apply(state, command)
        history.append(op(sent, done, *command, reply=draw(st.one_of(st.just(reply), REPLIES))))
    return history


@settings(max_examples=400)
@given(histories())
def test_it_agrees_with_a_checker_that_tries_everything(history: list[Operation]) -> None:
    assert check_key(history) == possible(history)
