"""What the views of one group have in common, whoever leads and whatever lies below them."""

from random import Random

from server.keyspace.events import KEY_MISS
from server.keyspace.home import Home
from server.keyspace.hot import HotReplies
from server.keyspace.limits import HasLimits
from server.keyspace.meta import Meta
from server.keyspace.store import Store
from server.keyspace.view import View


class Views:
    """Makes them."""

    def __init__(self, hot: HotReplies, home: Home, limits: HasLimits, cache_limit: int) -> None:
        """See View."""
        self.monitored = False
        """Somebody MONITORs this node."""
        self.notify = 0
        """Classes of keyspace events that commands make."""
        self.hot = hot
        self._home = home
        self._limits = limits
        self._cache_limit = cache_limit
        self.random = Random()

    def make(self, base: Store, meta: Meta, first_index: int) -> View:
        """The leader's view of `base`: what it will write comes after `first_index`."""
        view = View(
            base, meta, self.random, self._cache_limit, first_index, self.hot, self._home, self._limits
        )
        view.notify = self.notify
        view.monitored = self.monitored
        return view

    def make_stale(self, base: Store, meta: Meta) -> View:
        """One for a reading command on what a replica has; nothing is kept of it, and nobody hears of it."""
        return View(base, meta, self.random, home=self._home, limits=self._limits)

    def set_notify(self, classes: int) -> None:
        """Commands make keyspace events of these classes from now on."""
        if classes & KEY_MISS:
            self.hot.clear()  # what is missing is not answered from there
        self.notify = classes
