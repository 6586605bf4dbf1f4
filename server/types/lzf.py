"""LZF, the compression of strings in Redis's RDB and DUMP format.

A stream of tokens, told apart by their first byte:

    000LLLLL                     L+1 literal bytes follow
    LLLooooo oooooooo            copy L+2 bytes (L 1 to 6) from o+1 bytes back
    111ooooo LLLLLLLL oooooooo   copy L+9 bytes from o+1 bytes back

http://oldhome.schmorp.de/marc/liblzf.html. Any sequence of tokens that yields the text is a right one. `compress`
chooses them as liblzf does in Redis, so that DUMP gives the same bytes: earlier places are looked up by a hash of
three bytes that keeps the newest alone, only the last two places of a copy are remembered, and the copy at a text's
end may stop two bytes short.
"""

_RUN_MAX = 32
_OFFSET_MAX = 8192
_COPY_MAX = 264
_SHORT_COPY_MAX = 8
_UNROLLED = 16
"""liblzf compares so many bytes without looking at the text's end, when the text goes on for longer than that."""


def compress(data: bytes, size_max: int) -> bytes | None:
    """`data` compressed to at most `size_max` bytes, or None when that can not be done."""
    out = bytearray(1)  # the first run's length, known when it ends
    run = 0
    places: dict[int, int] = {}
    at, last = 0, len(data) - 3
    while at <= last:
        hash_ = _hash(data, at)
        ref = places.get(hash_, 0)
        places[hash_] = at
        offset = at - ref - 1
        if ref and offset < _OFFSET_MAX and data[ref : ref + 3] == data[at : at + 3]:
            if len(out) - (not run) + 4 >= size_max:
                return None
            _end_run(out, run)
            length = _match_length(data, ref, at)
            if length <= _SHORT_COPY_MAX:
                out.append((length - 2) << 5 | offset >> 8)
            else:
                out += bytes((0xE0 | offset >> 8, length - 9))
            out += bytes((offset & 0xFF, 0))
            run = 0
            at += length
            if at <= last:
                places[_hash(data, at - 2)] = at - 2
                places[_hash(data, at - 1)] = at - 1
        else:
            if len(out) >= size_max:
                return None
            run = _put_literal(out, run, data[at])
            at += 1
    if len(out) + 3 > size_max:
        return None
    for byte in data[at:]:
        run = _put_literal(out, run, byte)
    _end_run(out, run)
    return bytes(out)


def _hash(data: bytes, at: int) -> int:
    three = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
    return (three >> 8) - 5 * three & 0xFFFF


def _match_length(data: bytes, ref: int, at: int) -> int:
    """How many bytes at `at` to copy from `ref`, where the first three are equal."""
    most = min(len(data) - at - 2, _COPY_MAX)
    most = max(most, 3 if most <= _UNROLLED else 3 + _UNROLLED)
    length = 3
    while length < most and data[ref + length] == data[at + length]:
        length += 1
    return length


def _put_literal(out: bytearray, run: int, byte: int) -> int:
    """Add a literal to a run of `run`, and begin a new one when it is full; how long the run is then."""
    out.append(byte)
    if run + 1 < _RUN_MAX:
        return run + 1
    out[-_RUN_MAX - 1] = _RUN_MAX - 1
    out.append(0)
    return 0


def _end_run(out: bytearray, run: int) -> None:
    """Write the length of the run at the end, or take back the byte that was kept for it."""
    if run:
        out[-run - 1] = run - 1
    else:
        del out[-1]


def decompress(data: bytes, size: int) -> bytes:
    """The text of `size` bytes that `data` stands for; raises ValueError when it does not stand for just
    that. Memory does not grow past `size` nor, whatever is claimed, past what the tokens yield."""
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:
                stop = at + control + 1
                if stop > end:
                    raise ValueError("literals are cut short")
                out += data[at:stop]
                at = stop
            else:
                length = (control >> 5) + 2
                if length == 9:
                    length += data[at]
                    at += 1
                ref = len(out) - ((control & 31) << 8 | data[at]) - 1
                at += 1
                if ref < 0:
                    raise ValueError("a copy from before the start")
                piece = out[ref : ref + length]
                if len(piece) < length:
                    piece = (piece * (length // len(piece) + 1))[:length]
                out += piece
            if len(out) > size:
                raise ValueError("more than the size that was told")
    except IndexError:
        raise ValueError("a copy is cut short") from None
    if len(out) != size:
        raise ValueError("less than the size that was told")
    return bytes(out)
