"""Clients that work in threads of their own while a test does something to their servers."""

import threading
from collections.abc import Callable
from typing import Self

Job = Callable[[threading.Event], None]
"""Works until the event is set, or until it has done all that it wanted."""


class Crew:
    """A context manager: inside of it each of `jobs` is at work in a thread; its end is theirs."""

    def __init__(self, *jobs: Job) -> None:
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work, args=(job,)) for job in jobs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raises what a job has raised; a test that has failed already says it, too."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            if error is None:
                raise self._errors[0]
            error.add_note(f"A client ran into {self._errors[0]!r}.")

    def _work(self, job: Job) -> None:
        try:
            job(self._over)
        except BaseException as error:
            self._errors.append(error)


def together(*work: Callable[[], None]) -> None:
    """Run all of it at the same time, to its end. Raises what any of it raised."""
    with Crew(*(lambda over, one=one: one() for one in work)):  # type: ignore[misc]
        pass
