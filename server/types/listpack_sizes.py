"""How large values would be in Redis's listpacks, the form of which is in rdb/listpack.py: what OBJECT ENCODING says of
a list or a stream hangs on that, and how it is paged through.
"""

from server.types.numbers import parse_int64

EMPTY_BYTES = 7
"""A listpack without elements."""
BACK_LENGTH_MAX = (127, 16382, 2097150, 268435454)
"""The largest data whose length, which stands behind it, takes 1, 2, 3 and 4 bytes."""
_INTEGER_DIGITS_MAX = 20


def with_length(size_bytes: int) -> int:
    """Data and its length behind it."""
    for length_bytes, most in enumerate(BACK_LENGTH_MAX, 1):
        if size_bytes <= most:
            return size_bytes + length_bytes
    return size_bytes + 5


def integer_bytes(number: int) -> int:
    """What an integer of 64 bits takes."""
    if 0 <= number <= 127:
        return 2
    if -4096 <= number <= 4095:
        return 3
    if -(2**15) <= number < 2**15:
        return 4
    if -(2**23) <= number < 2**23:
        return 5
    return 6 if -(2**31) <= number < 2**31 else 10


def element_bytes(text: bytes) -> int:
    """What an element takes, a string or what reads as an integer."""
    size_bytes = len(text)
    if size_bytes <= _INTEGER_DIGITS_MAX:
        number = parse_int64(text)
        if number is not None:
            return integer_bytes(number)
    return with_length(size_bytes + (1 if size_bytes < 64 else 2 if size_bytes < 4096 else 5))
