"""The libraries of functions that a node knows, and the rules by which they live beside each other.

Libraries belong to group 0 (cluster/state.py), an entry each: `function:` and the library's name. Every node follows
them into a `Functions`, which answers what its clients ask. Whose a function is stands in an entry of its own,
`functionname:` and the function's name, so that group 0's leader need not look at all libraries when one is to change.
Names of libraries are told apart by case, names of functions are not.
"""

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from server.cluster import state
from server.errors import CommandError
from server.scripting.library import Function, Library, decode_library, encode_library

if TYPE_CHECKING:
    from server.keyspace.view import View

PREFIX = b"function:"
"""Of the entries of group 0."""
_NAMES = b"functionname:"
"""Of the entries that say whose a function is."""


class Functions:
    """All libraries, as this node knows them."""

    def __init__(self) -> None:
        self.libraries: dict[bytes, Library] = {}
        """By name."""
        self._functions: dict[bytes, tuple[Library, Function]] = {}
        """By name in lower case."""

    def changed(self, name: bytes, record: bytes | None) -> None:
        """For ClusterState.watch: the library `name` is now this, or is gone."""
        before = self.libraries.pop(name, None)
        for function in before.functions if before is not None else ():
            found = self._functions.get(function.name.lower())
            # Or another library has the name, and was told first.
            if found is not None and found[0] is before:
                del self._functions[function.name.lower()]
        if record is not None:
            library = self.libraries[name] = decode_library(record)
            for function in library.functions:
                self._functions[function.name.lower()] = library, function

    def find(self, name: bytes) -> tuple[Library, Function] | None:
        """The function of that name and its library."""
        return self._functions.get(name.lower())

    def count(self) -> int:
        """How many functions there are."""
        return len(self._functions)


# -- for the handlers of group 0 -----------------------------------------------------------------------------------


def read_library(view: "View", name: bytes) -> Library | None:
    """The library of that name."""
    record = state.read(view, PREFIX + name)
    return None if record is None else decode_library(record)


def write_library(view: "View", library: Library) -> None:
    """Let this be the library of that name."""
    state.write(view, PREFIX + library.name, encode_library(library))


def forget_library(view: "View", library: Library) -> None:
    """Delete a library."""
    state.forget(view, PREFIX + library.name)
    for function in library.functions:
        state.forget(view, _NAMES + function.name.lower())


def forget_libraries(view: "View", but: Container[bytes]) -> None:
    """Delete all libraries but those with these names."""
    for name, record in state.entries(view, PREFIX).items():
        if name not in but:
            forget_library(view, decode_library(record))


def owner(view: "View", name: bytes) -> Library | None:
    """The library that has a function of that name."""
    library = state.read(view, _NAMES + name.lower())
    return None if library is None else read_library(view, library)


def add_libraries(view: "View", new: Sequence[Library], *, replace: bool) -> None:
    """Add libraries to those that are there, in the place of such with the same name if `replace`. Raises CommandError
    when a name is taken."""
    for library in new:
        old = read_library(view, library.name)
        if old is not None:
            if not replace:
                raise CommandError(b"ERR Library " + library.name + b" already exists")
            forget_library(view, old)
    for library in new:
        for function in library.functions:
            if owner(view, function.name) is not None:
                raise CommandError(b"ERR Function " + function.name + b" already exists")
    for library in new:
        write_library(view, library)
        for function in library.functions:
            state.write(view, _NAMES + function.name.lower(), library.name)
