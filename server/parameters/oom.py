"""oom-score-adj: how readily Linux ends this process when memory runs out.

The score of a replica and of a child process, the second and third of oom-score-adj-values, are of no use here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCORE_MAX = 1000


class OomScore:
    """What the system has been told of this process."""

    def __init__(self, path: Path = Path("/proc/self/oom_score_adj")) -> None:
        """`path`: where the system is told."""
        self._path = path
        self._before: int | None = None
        """Its score before it was changed from here; None: it has not been."""

    def follow(self, values: Mapping[str, Any]) -> None:
        """Have the system know what these parameters, by name, say of it. Raises ValueError when it does not allow
        that."""
        mode, scores = values["oom-score-adj"], values["oom-score-adj-values"]
        try:
            if mode != b"no":
                before = int(self._path.read_text()) if self._before is None else self._before
                score = int(scores.split()[0]) + (0 if mode == b"absolute" else before)
                self._path.write_text(str(max(-_SCORE_MAX, min(score, _SCORE_MAX))))
                self._before = before
            elif self._before is not None:
                self._path.write_text(str(self._before))
                self._before = None
        except OSError:
            raise ValueError("Failed to set current oom_score_adj. Check server logs.") from None
