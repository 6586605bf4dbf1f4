"""The libraries of functions that a node knows, and the rules by which they live beside each other.

Libraries belong to group 0 (cluster/state.py), an entry each: `function:` and the library's name. Every node follows
them into a `Functions`, which answers what its clients ask; group 0's leader applies `merge` to what it holds when
they are to change. Names of libraries are told apart by case, names of functions are not.
"""

from collections.abc import Iterable, Sequence

from server.errors import CommandError
from server.scripting.library import Function, Library, decode_library

PREFIX = b"function:"
"""Of the entries of group 0."""


class Functions:
    """All libraries, as this node knows them."""

    def __init__(self) -> None:
        self.libraries: dict[bytes, Library] = {}
        """By name."""
        self._functions: dict[bytes, tuple[Library, Function]] | None = {}
        """By name in lower case; None when it has to be made again."""

    def changed(self, name: bytes, record: bytes | None) -> None:
        """For ClusterState.watch: the library `name` is now this, or is gone."""
        self._functions = None
        if record is None:
            self.libraries.pop(name, None)
        else:
            self.libraries[name] = decode_library(record)

    def find(self, name: bytes) -> tuple[Library, Function] | None:
        """The function of that name and its library."""
        if self._functions is None:
            self._functions = index(self.libraries.values())
        return self._functions.get(name.lower())

    def count(self) -> int:
        """How many functions there are."""
        return sum(len(library.functions) for library in self.libraries.values())


def index(libraries: Iterable[Library]) -> dict[bytes, tuple[Library, Function]]:
    """The functions of these libraries by name in lower case."""
    return {
        function.name.lower(): (library, function) for library in libraries for function in library.functions
    }


def merge(present: dict[bytes, Library], new: Sequence[Library], *, replace: bool) -> None:
    """Add `new` libraries to those that are `present`, by name, in the place of such with the same name if `replace`.
    Raises CommandError when a name is taken; then `present` is of no use any more."""
    for library in new:
        if present.pop(library.name, None) is not None and not replace:
            raise CommandError(b"ERR Library " + library.name + b" already exists")
    taken = index(present.values())
    for library in new:
        check_names(library, taken)
    present.update((library.name, library) for library in new)


def check_names(library: Library, taken: dict[bytes, tuple[Library, Function]]) -> None:
    """Raises CommandError when one of the functions' names is `taken`."""
    for function in library.functions:
        if function.name.lower() in taken:
            raise CommandError(b"ERR Function " + function.name + b" already exists")
