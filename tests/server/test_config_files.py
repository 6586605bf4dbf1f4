"""conf/ is the manual of the settings: it is complete, right, and can be run as it stands."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from server.config.file import SECTIONS, Config, load
from server.config.reader import Rule, rules_of
from server.config.sections import NodeConfig

CONF = Path(__file__).parents[2] / "conf"
TABLES: dict[str, type[Any]] = {"": Config, "nodes.standalone": NodeConfig, **SECTIONS}
SETTINGS = [(table, name) for table, section in TABLES.items() for name in rules_of(section)]


def annotated(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """(table, setting) -> (the comment above it as one line, its value as written)."""
    found = {}
    table, comment = "", []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            comment.append(line[1:].strip())
            continue
        if header := re.fullmatch(r"\[(.*)\]", line):
            table = header[1]
        elif assignment := re.fullmatch(r"(\w+) = (.*)", line):
            found[table, assignment[1]] = (" ".join(comment), assignment[2])
        comment = []
    return found


def explanation(rule: Rule, default: object) -> str:
    """What the comment of a setting says: its meaning, its default with the unit, and its range."""
    facts = f"Default: {json.dumps(default)}" + (f" {rule.unit}" if rule.unit else "")
    if rule.low is not None:
        facts += f"; {rule.low} to {rule.high}"
    return f"{rule.doc} {facts}."


def test_the_standalone_file_says_what_no_file_says() -> None:
    assert dataclasses.replace(load(CONF / "standalone.toml"), source="") == load()


@pytest.mark.parametrize(("table", "name"), SETTINGS)
def test_every_setting_stands_in_the_standalone_file_with_its_meaning_unit_and_default(
    table: str, name: str
) -> None:
    section = TABLES[table]
    default = next(field.default for field in dataclasses.fields(section) if field.name == name)
    comment, value = annotated(CONF / "standalone.toml")[table, name]
    assert comment == explanation(rules_of(section)[name], default)
    assert tomllib.loads(f"x = {value}")["x"] == default


def test_the_examples_of_redis_parameters_are_right_when_uncommented(tmp_path: Path) -> None:
    text, examples = re.subn(
        r'^# ("[a-z-]+" = )', r"\1", (CONF / "standalone.toml").read_text(), flags=re.MULTILINE
    )
    assert examples
    (tmp_path / "x.toml").write_text(text)
    assert len(load(tmp_path / "x.toml").redis) == examples


def test_the_cluster_file_is_three_nodes_with_four_groups_of_three_replicas() -> None:
    config = load(CONF / "cluster-3.toml")
    assert {name: (node.host, node.port) for name, node in config.nodes.items()} == {
        "n1": ("127.0.0.1", 7001),
        "n2": ("127.0.0.1", 7002),
        "n3": ("127.0.0.1", 7003),
    }
    assert (config.groups, config.replicas, config.routing) == (4, 3, "forward")
    assert {group.replicas[0] for group in config.topology("n1").groups.values()} == {1, 2, 3}
