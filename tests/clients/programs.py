"""Programs that are not Python's: found on the machine, run to their end.

Where one is missing its tests are left out on a developer's machine, but fail in CI (the environment says CI=true):
what CI does not run is not tested.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

TIMEOUT_S = 120


def program(name: str) -> str:
    """The path of a program; without it the test is left out, or fails in CI."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed")
    return path


def missing(reason: str) -> None:
    """Leave this test out, or fail it in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, but CI must run these tests")
    pytest.skip(reason)


def installed(*command: str, directory: Path) -> None:
    """Run a command that installs something from the network, once more if it fails; if that does, too, the test is
    left out, or fails in CI."""
    for _ in range(2):
        try:
            done = subprocess.run(
                command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            problem = str(error)
        else:
            if not done.returncode:
                return
            problem = done.stderr[-500:]
    missing(f"{command} fails: {problem}")


def run(
    *command: str,
    stdin: str = "",
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
) -> str:
    """What a command prints; it must end with this status. `environment`: other than ours."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=directory,
        env=environment,
        check=False,
    )
    assert done.returncode == status, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def first_lines(count: int, *command: str) -> list[str]:
    """What a command that never ends prints first; then it is ended."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            return [process.stdout.readline() for _ in range(count)]
        finally:
            process.kill()
