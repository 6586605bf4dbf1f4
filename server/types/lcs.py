"""The longest common subsequence of two strings, and where its pieces stand, as LCS answers it.

Redis fills a table of len(a) * len(b) numbers. Neighbours in a row of that table differ by 0 or 1, so a row is kept
as one integer with a bit per column, and the next row follows from it in a handful of operations on whole integers
(Hyyrö, "Bit-parallel LCS-length computation revisited", 2004). That makes it thousands of cells per operation where a
loop would do one. Walking back from the corner needs no more than these bits: on a mismatch at (i, j) Redis steps to
the left exactly when the table has the same number there, which is a 0 bit.
"""

from typing import NamedTuple

from server.keyspace.breath import breathe

_PIECE_DIGITS = 64 * 1024  # of which bits are made at a time; whole bytes


class Match(NamedTuple):
    """One run of equal bytes; both ends are included."""

    a_first: int
    a_last: int
    b_first: int
    b_last: int


def length(a: bytes, b: bytes) -> int:
    """The length of the longest common subsequence."""
    if len(a) > len(b):
        a, b = b, a
    return _rows(a, b, keep=False)[-1].bit_count()


def subsequence(a: bytes, b: bytes) -> tuple[bytes, list[Match]]:
    """The subsequence that Redis finds among the longest ones, and its runs from last to first."""
    rows = _rows(a, b, keep=True)
    found = bytearray()
    matches: list[Match] = []
    i, j = len(a), len(b)
    a_stop, b_stop, run = 0, 0, 0
    while i and j:
        breathe()
        if a[i - 1] == b[j - 1]:
            if not run:
                a_stop, b_stop = i, j
            run += 1
            found.append(a[i - 1])
            i -= 1
            j -= 1
            continue
        if run:
            matches.append(Match(i, a_stop - 1, j, b_stop - 1))
            run = 0
        # To the left up to the next column that ends in this byte or where the number falls, else one row up.
        column = max(b.rfind(a[i - 1 : i], 0, j) + 1, (rows[i] & ((1 << j) - 1)).bit_length())
        if column == j:
            i -= 1
        else:
            j = column
    if run:
        matches.append(Match(i, a_stop - 1, j, b_stop - 1))
    found.reverse()
    return bytes(found), matches


def _bits(text: bytes, digits: bytes) -> int:
    """The integer whose binary digits are `text` translated by `digits`; the last one is the lowest."""
    head = len(text) % _PIECE_DIGITS
    pieces = [int(text[:head].translate(digits) or b"0", 2).to_bytes(_PIECE_DIGITS // 8, "big")]
    for start in range(head, len(text), _PIECE_DIGITS):
        breathe()
        piece = text[start : start + _PIECE_DIGITS].translate(digits)
        pieces.append(int(piece, 2).to_bytes(_PIECE_DIGITS // 8, "big"))
    return int.from_bytes(b"".join(pieces), "big")


def _rows(a: bytes, b: bytes, keep: bool) -> list[int]:
    """Row i of the table for each prefix of `a`, or only the last one: bit j - 1 is set where the number at column j
    is one more than at column j - 1."""
    full = (1 << len(b)) - 1
    backwards = b[::-1]
    equal: dict[int, int] = {}
    for byte in set(a):
        ones = bytes(49 if other == byte else 48 for other in range(256))
        equal[byte] = _bits(backwards, ones)
    flat = full
    row = 0
    rows = [row]
    for byte in a:
        breathe()
        hits = flat & equal[byte]
        if hits:
            flat = ((flat + hits) | (flat - hits)) & full
            # The same object for equal rows: a short `b` under a long `a` then costs no more than Redis's table.
            if flat ^ full != row:
                row = flat ^ full
        if keep:
            rows.append(row)
    return rows if keep else [row]
