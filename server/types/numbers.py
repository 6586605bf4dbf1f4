"""Numbers as text: how Redis reads an integer, be it an argument or a counter's value."""

from typing import Final

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_SURE_BYTES: Final = 18
"""What is no longer is in range: to compare it with numbers that are larger than a compiled integer takes long."""


def parse_int64(text: bytes) -> int | None:
    """`text` as Redis's string2ll takes it (no blanks, no plus, no leading zeros, 64 bits), or None."""
    length = len(text)
    if not length or length > 20:
        return None
    digits = text[1:] if text[0] == 45 else text
    if not digits.isdigit() or (digits[0] == 48 and length > 1):
        return None
    value = int(text)
    return value if length <= _SURE_BYTES or INT64_MIN <= value <= INT64_MAX else None
