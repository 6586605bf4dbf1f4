"""Runs the stories in scripts/. The language is described in script.py."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.raft.script import Script
from tests.sim.mutants import TOLD

SCRIPTS = sorted(Path(__file__).with_name("scripts").glob("*.txt"))
RULES = 28  # in raft/core/RULES.md


def play(text: str) -> str:
    """Return the story with what really came of each command."""
    script = Script()
    told: list[str] = []
    skipping = False
    for line in text.splitlines():
        if line == "----":
            skipping = True
        elif skipping:
            skipping = line != ""
            if not skipping:
                told.append("")
        elif line and not line.startswith("#"):
            told += [line, "----", script.run(line)]
        else:
            told.append(line)
    return "\n".join(told).rstrip("\n") + "\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_story_goes_as_told(path: Path) -> None:
    text = path.read_text()
    played = play(text)
    if os.environ.get("REDRAFT_RECORD"):
        path.write_text(played)
    else:
        assert played == text


def test_every_rule_has_a_story() -> None:
    told = {int(rule) for path in SCRIPTS for rule in re.findall(r"^# Rule (\d+)\b", path.read_text(), re.M)}
    assert told == set(range(1, RULES + 1))


@pytest.mark.parametrize(("name", "install"), TOLD, ids=[name for name, _ in TOLD])
def test_a_broken_core_goes_another_way(
    name: str, install: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    assert not all(goes_as_told(path.read_text()) for path in SCRIPTS), f"no story notices: {name}"


def goes_as_told(text: str) -> bool:
    """Whether all of it comes out as recorded; a command may also make no sense any more."""
    try:
        return play(text) == text
    except AssertionError:
        return False
