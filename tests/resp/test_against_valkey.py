"""The same bytes to our parser and to a real Valkey.

Two slips of Valkey 9.1 in inline commands are not followed, and kept out of what is compared: it drops bytes
of 0xff, and takes a backslash and a quote at the very end of a line for the end of the quotes (older versions
see an error).
"""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resp import PONG, Error, Value, encode, format_double
from tests.resp.conftest import Ask
from tests.resp.test_requests import encoded, parsed
from tests.resp.transcripts import DOUBLES, LOCKED_TRANSCRIPTS, TRANSCRIPTS, Transcript

ARITY, UNKNOWN = Error(b"arity"), Error(b"unknown")

compared = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answered(sent: bytes, authenticated: bool) -> bytes:
    """What a server that knows PING and ECHO answers, with our parser and encoder."""
    requests, error = parsed(sent, authenticated=authenticated)
    replies = [
        _execute(args) if authenticated else Error(b"NOAUTH Authentication required.") for args in requests
    ]
    if error is not None:
        replies.append(Error(error))
    return b"".join(encode(reply, 2) for reply in replies)


def _execute(args: list[bytes]) -> Value:
    match args:
        case [name] if name.upper() == b"PING":
            return PONG
        case [name, text] if name.upper() in (b"PING", b"ECHO"):
            return text
        case [name, *_] if name.upper() in (b"PING", b"ECHO"):
            return ARITY
    return UNKNOWN


def masked(answer: bytes) -> bytes:
    """Without the texts of errors that are the commands' and not the protocol's."""
    answer = re.sub(rb"-ERR wrong number of arguments for [^\r]*\r\n", ARITY.encoded, answer)
    return re.sub(rb"-ERR unknown command [^\r]*\r\n", UNKNOWN.encoded, answer)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.claim)
def test_valkey_agrees_with_the_transcripts(transcript: Transcript, ask_valkey: Ask) -> None:
    assert masked(ask_valkey(transcript.sent)) == answered(transcript.sent, authenticated=True)


@pytest.mark.parametrize("transcript", LOCKED_TRANSCRIPTS, ids=lambda transcript: transcript.claim)
def test_a_locked_valkey_agrees_with_the_transcripts(transcript: Transcript, ask_locked_valkey: Ask) -> None:
    assert ask_locked_valkey(transcript.sent) == answered(transcript.sent, authenticated=False)


payload_bytes = st.integers(0, 254).filter(lambda byte: byte != ord("\\"))
payloads = st.lists(payload_bytes, max_size=12).map(bytes) | st.integers(0, 1100).map(
    lambda size: b"x" * size
)
arrays = st.builds(
    lambda name, rest: encoded([[name, *rest]]),
    st.sampled_from([b"PING", b"ECHO", b"echo"]),
    st.lists(payloads, max_size=2) | st.lists(payloads, max_size=12),
)
lines = st.builds(
    lambda name, rest, end: b"%b %b%b" % (name, rest.encode(), end),
    st.sampled_from([b"PING", b"ECHO", b" echo", b""]),
    st.text("ab '\"\t\r\v\f", max_size=9),
    st.sampled_from([b"\n", b"\r\n"]),
)
noise = st.text("*$1 023-\r\n:a+_%~>\0", min_size=1, max_size=9).map(str.encode)
slips = st.sampled_from(
    [b"", b"\r", b"\n", b"\r\n", b"*", b"*1\r\n", b"*-1\r\n", b"$", b"$-1\r\n", b":1\r\n", b"0", b"-"]
)


@st.composite
def broken_inputs(draw: st.DrawFn) -> bytes:
    """Requests of all kinds, with up to three places where bytes were lost, changed or added."""
    sent = b"".join(draw(st.lists(arrays | arrays | lines | noise, min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(sent)))
        sent = sent[:start] + draw(slips) + sent[start + draw(st.integers(0, 3)) :]
    return sent


@given(broken_inputs())
@compared
def test_valkey_agrees_on_broken_input(ask_valkey: Ask, sent: bytes) -> None:
    assert masked(ask_valkey(sent)) == answered(sent, authenticated=True)


@given(broken_inputs())
@compared
def test_a_locked_valkey_agrees_on_broken_input(ask_locked_valkey: Ask, sent: bytes) -> None:
    assert ask_locked_valkey(sent) == answered(sent, authenticated=False)


def score_printed(ask_valkey: Ask, number: float) -> bytes:
    """The double that Valkey answers for a member with this score, in RESP3."""
    score = repr(number).encode()
    answer = ask_valkey(encoded([[b"HELLO", b"3"], [b"ZADD", b"z", score, b"m"], [b"ZSCORE", b"z", b"m"]]))
    return bytes(re.findall(rb"\r\n,([^\r]*)\r\n", answer)[-1])


@pytest.mark.parametrize(("number", "text"), DOUBLES)
def test_valkey_prints_the_doubles_of_the_table_so(ask_valkey: Ask, number: float, text: bytes) -> None:
    assert score_printed(ask_valkey, number) == text


@given(st.floats(allow_nan=False, allow_infinity=True).filter(bool))
@compared
def test_valkey_prints_doubles_alike(ask_valkey: Ask, number: float) -> None:
    """Where it does not, its algorithm missed the shortest or closest text, which ours always is."""
    theirs, ours = score_printed(ask_valkey, number), format_double(number)
    assert theirs == ours or (float(theirs) == number and len(theirs) >= len(ours))
