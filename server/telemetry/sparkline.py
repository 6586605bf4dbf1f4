"""A little graph in ASCII, as LATENCY GRAPH draws it: four rows of characters, labels written downwards below."""

from collections.abc import Sequence

_ROWS = 4
_TIPS = "_o#"
_BELOW = "|"
_COLUMNS = 80


def sparkline(values: Sequence[int], labels: Sequence[str]) -> str:
    """`values`, one column each, and their labels (as many). 80 columns a block; every line ends with a line end."""
    low, high = min(values), max(values)
    steps = _ROWS * len(_TIPS)
    heights = [(value - low) * (steps - 1) // max(high - low, 1) for value in values]
    lines: list[str] = []
    for start in range(0, len(values), _COLUMNS):
        block = heights[start : start + _COLUMNS]
        names = labels[start : start + _COLUMNS]
        lines += ["".join(_cell(height, row) for height in block) for row in reversed(range(_ROWS))]
        lines.append("")
        longest = max(map(len, names))
        lines += ["".join(name.ljust(longest)[letter] for name in names) for letter in range(longest)]
    return "\n".join(lines) + "\n"


def _cell(height: int, row: int) -> str:
    """What a column that is `height` steps high shows in `row`, counted from below."""
    step = height - row * len(_TIPS)
    if step < 0:
        return " "
    return _TIPS[step] if step < len(_TIPS) else _BELOW
