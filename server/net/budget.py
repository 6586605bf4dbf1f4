"""How long a turn may take: then what is ready, and has not been served yet, is for the next one.

It is counted in processor time. By the clock on the wall, turns would be the shorter the less of the processor there
is, and so do less for what each of them costs. A turn that is short looks at no clock.
"""

from math import inf
from time import thread_time

turn_s_max = 0.02
"""What is ready after so much processor time of a turn waits for the next one."""


class Budget:
    """Of the turns of one reactor."""

    __slots__ = ("_one_went_on", "_until_s")

    def __init__(self) -> None:
        self._until_s = inf
        """When this turn has taken long, on thread_time; 0: nobody has asked yet; endless between turns."""
        self._one_went_on = False

    def begin(self) -> None:
        """A turn begins."""
        self._until_s = 0.0

    def is_spent(self) -> bool:
        """Whether this turn has taken long, since this was first asked."""
        now_s = thread_time()
        if not self._until_s:
            self._until_s = now_s + turn_s_max
        return now_s >= self._until_s

    def end(self) -> bool:
        """The turn is over; whether it was a short one."""
        short = not (self._until_s and self.is_spent())
        self._until_s = inf
        return short

    def begin_replies(self) -> None:
        """Replies are about to be sent: those who have been held up by theirs may go on."""
        self._one_went_on = False

    def lets_go_on(self) -> bool:
        """Whether somebody may run what he has sent before; one may in any case, as turns may be full of what others
        send."""
        if self._one_went_on and self.is_spent():
            return False
        self._one_went_on = True
        return True
