"""The 80-bit floating point numbers that INCRBYFLOAT computes with, exactly as a C library on x86-64 does.

Python has no long double and a double has 11 bits less, so a number here is a mantissa of up to 64 bits and an
exponent, both integers. Every step (reading, adding, printing) is exact integer arithmetic followed by one rounding,
half to even, which is what the processor and the C library do. Results are so the same on every machine.

`decimal` serves only to turn long integers into text and back: Python's own conversion refuses above 4300 digits, and
the largest long double has 4933.
"""

import re
from decimal import Decimal
from typing import NamedTuple

MANTISSA_BITS = 64
EXPONENT_MIN = -16445
"""Of the smallest denormal: 2 ** -16445."""
BITS_MAX = 16384
"""Values from 2 ** 16384 on are infinite."""
TEXT_BYTES_MAX = 5119
"""Redis's buffer for such a text has 5 KiB, with the terminator."""
DECIMAL_EXPONENT_MAX = 5000
"""A number whose first digit stands further than this from the point is out of range (4933 and -4951 are the limits);
known before a power of ten is computed."""
PRINTED_DECIMALS = 17

_DECIMAL = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?")
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)


class LongDouble(NamedTuple):
    """A finite number: mantissa * 2 ** exponent."""

    mantissa: int
    """Signed; at most 64 bits, or exactly 2 ** 64."""
    exponent: int


ZERO = LongDouble(0, 0)


def parse(text: bytes) -> LongDouble | None:
    """The number that strtold reads from all of `text` (decimal, hexadecimal, infinity), None for an infinity.

    Raises ValueError for anything else: blanks, NaN, numbers that are too large, and numbers that are not zero and
    too small.
    """
    if len(text) > TEXT_BYTES_MAX:
        raise ValueError(text)
    match = _DECIMAL.fullmatch(text)
    if match is not None:
        return _scaled(match, 10)
    match = _HEXADECIMAL.fullmatch(text)
    if match is not None:
        return _scaled(match, 16)
    if _INFINITY.fullmatch(text):
        return None
    raise ValueError(text)


def add(left: LongDouble, right: LongDouble) -> LongDouble | None:
    """The rounded sum, None when it is infinite."""
    exponent = min(left.exponent, right.exponent)
    mantissa = (left.mantissa << (left.exponent - exponent)) + (right.mantissa << (right.exponent - exponent))
    return _rounded(mantissa < 0, abs(mantissa) << max(exponent, 0), 1 << max(-exponent, 0))


def render(number: LongDouble) -> bytes:
    """The text that Redis stores: 17 decimals (`%.17Lf`), without the zeros at their end."""
    mantissa, exponent = number
    scaled = abs(mantissa) * 10**PRINTED_DECIMALS
    scaled = scaled << exponent if exponent >= 0 else _divided(scaled, 1 << -exponent)
    digits = str(Decimal(scaled)).zfill(PRINTED_DECIMALS + 1)
    decimals = digits[-PRINTED_DECIMALS:].rstrip("0")
    text = digits[:-PRINTED_DECIMALS] + ("." + decimals if decimals else "")
    return ("-" + text if mantissa < 0 and scaled else text).encode()


def _scaled(match: re.Match[bytes], base: int) -> LongDouble:
    """The number of a match of sign, integer digits, decimals and exponent."""
    sign, whole, decimals, power = match.groups(default=b"")
    digits = (whole + decimals).lstrip(b"0")
    if not whole and not decimals:
        raise ValueError(match.string)
    if not digits:
        return ZERO
    # A longer exponent is out of range whatever the digits; int() of a very long one would be refused.
    magnitude = power.lstrip(b"+-").lstrip(b"0")
    if len(magnitude) > 8:
        raise ValueError(match.string)
    exponent = int(magnitude or b"0")
    if power[:1] == b"-":
        exponent = -exponent
    if base == 10:
        exponent -= len(decimals)
        if abs(len(digits) + exponent) > DECIMAL_EXPONENT_MAX:
            raise ValueError(match.string)
        numerator = int(Decimal(digits.decode()))
        shift, unit = abs(exponent), 10
    else:
        exponent -= 4 * len(decimals)
        if abs(4 * len(digits) + exponent) > 2 * BITS_MAX:
            raise ValueError(match.string)
        numerator = int(digits, 16)
        shift, unit = abs(exponent), 2
    scale = unit**shift
    number = _rounded(
        sign == b"-", numerator * (scale if exponent >= 0 else 1), 1 if exponent >= 0 else scale
    )
    if number is None or not number.mantissa:
        raise ValueError(match.string)
    return number


def _rounded(negative: bool, numerator: int, denominator: int) -> LongDouble | None:
    """The nearest number to a fraction that is not negative, with the sign asked for; None when that is infinite."""
    if not numerator:
        return ZERO
    exponent = numerator.bit_length() - denominator.bit_length() - MANTISSA_BITS
    if _bits_at(numerator, denominator, exponent) > MANTISSA_BITS:
        exponent += 1
    exponent = max(exponent, EXPONENT_MIN)
    mantissa = _divided(numerator << max(-exponent, 0), denominator << max(exponent, 0))
    if mantissa.bit_length() + exponent > BITS_MAX:
        return None
    return LongDouble(-mantissa if negative else mantissa, exponent)


def _bits_at(numerator: int, denominator: int, exponent: int) -> int:
    """How many bits the quotient has before the point, in units of 2 ** exponent."""
    return ((numerator << max(-exponent, 0)) // (denominator << max(exponent, 0))).bit_length()


def _divided(numerator: int, denominator: int) -> int:
    """The quotient of two positive integers, rounded half to even."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))
