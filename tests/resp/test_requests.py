"""The request parser: what it delivers, what it refuses, what it keeps. See also test_against_valkey.py."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import resp.requests as requests_module
from resp import Limits, ProtocolError, QueryBufferOverflow, RequestParser
from tests.resp.conftest import BULK_BYTES_MAX
from tests.resp.transcripts import LOCKED_TRANSCRIPTS, PING, TRANSCRIPTS, Transcript

Requests = list[list[bytes]]


def encoded(requests: Requests) -> bytes:
    return b"".join(
        b"*%d\r\n%b" % (len(args), b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args))
        for args in requests
    )


def parsed(*chunks: bytes, authenticated: bool = True) -> tuple[Requests, bytes | None]:
    """All requests, and the text of the error that ended them."""
    parser = RequestParser(Limits(bulk_bytes_max=BULK_BYTES_MAX), authenticated)
    requests: Requests = []
    for chunk in chunks:
        try:
            requests += parser.feed(chunk)
        except ProtocolError as error:
            return requests + error.requests, error.reply.text
    return requests, None


def outcome(transcript: Transcript) -> tuple[Requests, bytes | None]:
    error = transcript.error
    return transcript.requests, None if error is None else b"ERR Protocol error: " + error


# --- transcripts ---


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.claim)
def test_what_is_sent_means_what_the_transcript_says(transcript: Transcript) -> None:
    assert parsed(transcript.sent) == outcome(transcript)


@pytest.mark.parametrize("transcript", LOCKED_TRANSCRIPTS, ids=lambda transcript: transcript.claim)
def test_a_client_that_must_authenticate_may_send_less(transcript: Transcript) -> None:
    assert parsed(transcript.sent, authenticated=False) == outcome(transcript)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.claim)
def test_a_transcript_means_the_same_byte_by_byte(transcript: Transcript) -> None:
    assert parsed(*(bytes([byte]) for byte in transcript.sent)) == outcome(transcript)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.claim)
def test_the_strict_parser_alone_agrees_with_both_together(transcript: Transcript) -> None:
    """Without authentication no chunk takes the fast way; no transcript but the largest exceeds its
    limits."""
    requests, error = parsed(transcript.sent, authenticated=False)
    if error is not None and b"unauthenticated" in error:
        assert any(size in transcript.sent for size in (b"2147483647", b"1048576"))
    else:
        assert (requests, error) == outcome(transcript)


# --- chunks ---

lengths = st.one_of(st.integers(0, 12), st.sampled_from([9, 10, 99, 100, 101, 999, 1000, 1023, 1024, 5000]))
arguments = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\r\n", b"*3\r\n", b"$4\r\nPING\r\n", b"*", b"\0"]),
    lengths.map(lambda size_bytes: (b"*1\r\n$1" * 1000)[:size_bytes]),
)
request_lists = st.lists(st.lists(arguments, min_size=1, max_size=24), max_size=6)


@given(request_lists)
def test_whatever_is_encoded_is_parsed(requests: Requests) -> None:
    assert parsed(encoded(requests)) == (requests, None)


@given(st.lists(st.lists(st.binary(max_size=12), min_size=1, max_size=5), max_size=4))
def test_a_cut_anywhere_changes_nothing(requests: Requests) -> None:
    sent = encoded(requests)
    for cut in range(len(sent) + 1):
        assert parsed(sent[:cut], sent[cut:]) == (requests, None)


@given(st.lists(st.lists(st.binary(max_size=3), min_size=1, max_size=3), max_size=2))
@settings(max_examples=15)
def test_two_cuts_anywhere_change_nothing(requests: Requests) -> None:
    sent = encoded(requests)
    for first in range(len(sent) + 1):
        for second in range(first, len(sent) + 1):
            assert parsed(sent[:first], sent[first:second], sent[second:]) == (requests, None)


@given(request_lists, st.lists(st.integers(0, 40_000), max_size=8))
def test_many_cuts_change_nothing(requests: Requests, cuts: list[int]) -> None:
    sent = encoded(requests)
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    chunks = [sent[start:end] for start, end in pairwise(edges)]
    assert parsed(*chunks) == (requests, None)


@given(
    st.lists(st.binary(max_size=60) | st.text("*$:-01239\r\nab'\" ").map(str.encode), max_size=6),
    st.booleans(),
)
@settings(max_examples=500)
def test_garbage_is_parsed_or_refused_but_never_breaks_the_parser(
    chunks: list[bytes], authenticated: bool
) -> None:
    requests, error = parsed(*chunks, authenticated=authenticated)
    assert all(args and all(type(arg) is bytes for arg in args) for args in requests)
    assert error is None or error.startswith(b"ERR Protocol error: ")


@pytest.mark.parametrize("count", range(1, 13))
@pytest.mark.parametrize("size_bytes", [0, 1, 9, 10, 99, 100, 999, 1000, 1023, 1024])
def test_lengths_and_counts_at_the_edges_of_the_fast_way(count: int, size_bytes: int) -> None:
    requests = [[b"x" * size_bytes] * count, [b"PING"]]
    assert parsed(encoded(requests)) == (requests, None)


@pytest.mark.parametrize("before", [[], [b"GET"], [b"SET", b"k"], [b"MSET", *[b"k"] * 20]])
def test_every_length_is_checked_against_its_payload(before: list[bytes]) -> None:
    for size_bytes in range(1030):
        payload = b"x" * size_bytes
        sent = encoded([[*before, payload]])
        assert parsed(sent) == ([[*before, payload]], None)
        longer = sent.removesuffix(b"\r\n") + b"x\r\n"
        assert parsed(longer) == ([], b"ERR Protocol error: invalid CRLF in request")


@pytest.mark.parametrize(
    "args",
    [
        [b"PING"],
        [b"GET", b"k" * 99],
        [b"SET", b"k" * 99, b"v" * 999],
        [b"SET", b"key:1", b"v" * 999, b"EX", b"100"],
        [b"HSET", b"key:1", b"a", b"1", b"b", b"2", b"c", b"3"],
    ],
)
def test_ordinary_requests_take_the_fast_way(args: list[bytes]) -> None:
    sent = encoded([args, args])
    match = requests_module._match_whole_requests(sent)
    assert match is not None
    assert match.end() == len(sent)


def test_unfinished_requests_of_two_connections_do_not_mix() -> None:
    limits = Limits()
    one, other = RequestParser(limits), RequestParser(limits)
    assert one.feed(PING + b"*2\r\n$3\r\nGET\r\n$1\r\n") == [[b"PING"]]
    assert other.feed(PING + b"*2\r\n$3\r\nDEL\r\n") == [[b"PING"]]
    assert one.feed(b"a\r\n" + PING) == [[b"GET", b"a"], [b"PING"]]
    assert other.feed(b"$1\r\nb\r\n" + PING) == [[b"DEL", b"b"], [b"PING"]]


# --- errors ---


def test_an_error_is_repeated_when_more_is_fed() -> None:
    parser = RequestParser(Limits())
    for chunk in (b"*1\r\n:5\r\n", b"x", PING, b""):
        with pytest.raises(ProtocolError, match="expected '\\$', got ':'"):
            parser.feed(chunk)


def test_an_error_in_an_argument_that_came_in_pieces_is_repeated_too() -> None:
    parser = RequestParser(Limits())
    assert parser.feed(b"*1\r\n$4\r\nPI") == []
    for chunk in (b"NGxx", PING):
        with pytest.raises(ProtocolError, match="invalid CRLF"):
            parser.feed(chunk)


def test_authentication_in_the_same_chunk_lifts_the_limits_for_what_follows_it() -> None:
    """A client may send AUTH and a large request without waiting in between."""
    large = [[b"MSET", *[b"x" * 20_000] * 20], [b"PING"]]
    parser = RequestParser(Limits(), authenticated=False)
    with pytest.raises(ProtocolError) as caught:
        parser.feed(encoded([[b"AUTH", b"secret"], *large]))
    assert caught.value.lifted_by_authentication
    assert caught.value.requests == [[b"AUTH", b"secret"]]
    parser.authenticated = True
    assert parser.feed(b"") == large


def test_it_does_so_within_a_request_as_well() -> None:
    parser = RequestParser(Limits(), authenticated=False)
    with pytest.raises(ProtocolError, match="unauthenticated bulk length"):
        parser.feed(b"*2\r\n$3\r\nGET\r\n$20000\r\n")
    parser.authenticated = True
    assert parser.feed(b"") == []
    assert parser.feed(b"x" * 20_000 + b"\r\n") == [[b"GET", b"x" * 20_000]]


def test_other_errors_are_not_lifted_by_authentication() -> None:
    with pytest.raises(ProtocolError) as caught:
        RequestParser(Limits(), authenticated=False).feed(b"*x\r\n")
    assert not caught.value.lifted_by_authentication


# --- limits and memory ---


def test_limits_hold_for_every_parser_as_soon_as_they_are_set() -> None:
    limits = Limits()
    parser = RequestParser(limits)
    assert parser.feed(b"*1\r\n$5000\r\n" + b"x" * 5000 + b"\r\n") == [[b"x" * 5000]]
    limits.bulk_bytes_max = 4999
    with pytest.raises(ProtocolError, match="invalid bulk length"):
        parser.feed(b"*1\r\n$5000\r\n")


@pytest.mark.parametrize("name", Limits.__slots__)
def test_limits_below_what_the_fast_way_lets_pass_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 9})


def test_an_unfinished_request_may_not_outgrow_the_query_buffer() -> None:
    parser = RequestParser(Limits(query_buffer_bytes_max=100_000))
    assert parser.feed(PING + b"*1\r\n$90000\r\n" + b"x" * 50_000) == [[b"PING"]]
    assert parser.feed(b"x" * 40_000 + b"\r\n")
    assert parser.feed(b"*1\r\n$200000\r\n" + b"x" * 90_000) == []
    with pytest.raises(QueryBufferOverflow):
        parser.feed(b"x" * 20_000)


def test_many_small_arguments_count_with_the_memory_they_take() -> None:
    parser = RequestParser(Limits(query_buffer_bytes_max=100_000))
    with pytest.raises(QueryBufferOverflow):
        parser.feed(b"*1000000\r\n" + b"$2\r\nxx\r\n" * 3000)


def test_pending_bytes_tell_what_is_kept() -> None:
    parser = RequestParser(Limits())
    assert parser.pending_bytes == 0
    parser.feed(PING + b"*2\r\n$3\r\nGET\r\n$10\r\nabc")
    assert parser.pending_bytes == len(b"GET") + 41 + len(b"abc")
    parser.feed(b"defghij\r\n" + b"PIN")
    assert parser.pending_bytes == len(b"PIN")
    parser.feed(b"G\r\n")
    assert parser.pending_bytes == 0


@pytest.mark.parametrize(
    "header",
    [
        b"*2147483647\r\n",
        b"*1\r\n$536870912\r\n",
        b"*2147483647\r\n$3\r\nSET\r\n$536870912\r\nab",
        PING + b"*1000000000\r\n",
    ],
)
def test_memory_does_not_grow_with_what_a_header_claims(header: bytes) -> None:
    """hiredis would reserve 8 bytes for each element that an array's header claims."""
    parser = RequestParser(Limits())
    tracemalloc.start()
    try:
        parser.feed(header)
        parser.feed(b"")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000


def test_a_payload_that_looks_like_a_huge_header_is_a_payload() -> None:
    requests = [[b"SET", b"*1000000000\r\n", b"\r\n*2147483648\r\n$-1\r\n"]]
    assert parsed(encoded(requests)) == (requests, None)


def test_a_large_value_in_network_chunks_arrives_whole_in_bounded_memory() -> None:
    value = bytes(range(256)) * (64 * 1024)
    sent = encoded([[b"SET", b"k", value], [b"PING"]])
    parser = RequestParser(Limits())
    requests: Requests = []
    tracemalloc.start()
    try:
        for start in range(0, len(sent), 65536):
            requests += parser.feed(sent[start : start + 65536])
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert requests == [[b"SET", b"k", value], [b"PING"]]
    assert peak_bytes < 2.5 * len(value)


def test_a_value_byte_by_byte_takes_no_object_per_byte() -> None:
    parser = RequestParser(Limits())
    parser.feed(b"*1\r\n$100000\r\n")
    tracemalloc.start()
    try:
        for _ in range(50_000):
            parser.feed(b"xy")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert parser.feed(b"\r\n") == [[b"xy" * 50_000]]
    assert peak_bytes < 300_000


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
def test_what_is_unfinished_counts_the_same_in_whatever_pieces_it_came(piece_bytes: int) -> None:
    sent = encoded([[b"SET", *(b"x" * (number % 50) for number in range(300))]])[:-30]
    whole, pieces = RequestParser(Limits()), RequestParser(Limits())
    assert whole.feed(sent) == []
    for start in range(0, len(sent), piece_bytes):
        assert pieces.feed(sent[start : start + piece_bytes]) == []
    assert pieces.pending_bytes == whole.pending_bytes > len(sent)
    assert pieces.lacking_bytes == whole.lacking_bytes == 28
    assert pieces.feed(b"x" * 28 + b"\r\n*1\r\n$4\r\nPI") == whole.feed(b"x" * 28 + b"\r\n*1\r\n$4\r\nPI")
    assert pieces.pending_bytes == whole.pending_bytes
    assert pieces.feed(b"NG\r\n") == [[b"PING"]]
    assert pieces.pending_bytes == pieces.lacking_bytes == 0
