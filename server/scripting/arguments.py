"""The arguments of the libraries in libraries.py, taken as Lua's C functions take them.

A text that is a number counts as one. Of a number that fits into no integer a C function makes what the processor makes
of it; that of Redis's users is an x86.
"""

from math import copysign, isnan
from typing import Any

from lupa.lua51 import lua_type

Result = tuple[Any, ...]
"""Values from or for Lua."""


def kind(value: Any) -> str:
    """What Lua calls the type of `value`."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, bytes) else lua_type(value) or "userdata"


def number(values: Result, at: int, function: str, missing: str = "no value") -> float:
    """Argument number `at` (from 0). Raises ValueError; `missing`: how that calls what is not there."""
    if at >= len(values):
        raise ValueError(f"bad argument #{at + 1} to '{function}' (number expected, got {missing})")
    value = values[at]
    if isinstance(value, bytes) and b"_" not in value:
        try:
            digits = value.decode().strip()
            return float.fromhex(digits) if "x" in digits.lower() else float(digits)
        except (ValueError, OverflowError):
            pass
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"bad argument #{at + 1} to '{function}' (number expected, got {kind(value)})")
    return value


def optional_int64(values: Result, at: int, function: str, default: int) -> int:
    """Argument number `at`, that may be left out or nil. Raises ValueError."""
    if at >= len(values) or values[at] is None:
        return default
    return int64(number(values, at, function))


def int64(value: float) -> int:
    """As a C integer of 64 bits: the least one for what is none."""
    return int(value) if -(2**63) <= value < 2**63 else -(2**63)


def text(value: Any) -> bytes | None:
    """A text, or a number as Lua writes it; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return b"-nan" if isnan(value) and copysign(1.0, value) < 0 else b"%.14g" % value
    return value if isinstance(value, bytes) else None


def uint64(value: float) -> int:
    """As an unsigned C integer of 64 bits."""
    if isnan(value) or value < -(2**63):
        return 1 << 63
    return int(value) & ((1 << 64) - 1) if value < 2**64 else 0
