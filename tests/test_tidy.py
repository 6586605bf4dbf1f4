"""Style, held by a test: what a linter does not know about this repository."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("resp", "raft", "server", "tests")
LINES_MAX = 800
"""A file is one idea."""

MODULES = [
    ROOT / "setup.py",
    *sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")),
]
PRODUCT = [path for path in MODULES[1:] if path.relative_to(ROOT).parts[0] != "tests"]
WITH_OUTPUT = {
    "server/app.py",
    "server/operator/cli.py",
    "server/operator/supervisor.py",
    "server/operator/status.py",
}
"""What talks to a person at a terminal (app.py: one sentence when a node can not run); everything else has a log."""

TEXTS = [
    *(path for path in MODULES if path != Path(__file__)),  # which must name what it forbids
    *(ROOT / name for name in ("pyproject.toml", ".ci/run", ".gitignore")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "conf").glob("*.toml")),
]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
MACHINE = re.compile(r"(?<![\w.])/(work|home|root|tmp/lab)\b")

FILE = re.compile(r"(?<![\w./{}-])(?:[a-z_]+/)*[a-z_]+\.py\b")


def tails(path: Path) -> list[str]:
    """What a path may be called: the file's name, with as many of its folders as one likes."""
    return ["/".join(path.parts[at:]) for at in range(len(path.parts))]


def named(paths: list[Path]) -> pytest.MarkDecorator:
    """A test for each path, called after it."""
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


def public_definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Classes, functions and methods that others may use: at the top, or in such a class, without underscore."""
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    for scope in scopes:
        for node in scope.body:
            if (
                isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and node.name[0] != "_"
            ):
                yield node
                if isinstance(node, ast.ClassDef):
                    scopes.append(node)


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by the full name"
            found.add(node.module or "")
    return found


def third_parties(package: str) -> set[str]:
    """Top-level names that a package imports beyond the standard library and this repository."""
    modules = [name for path in (ROOT / package).rglob("*.py") for name in imported(path)]
    return {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - set(PACKAGES)


@named([path for path in MODULES if path.stat().st_size])
def test_a_file_begins_with_its_theory(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@named(PRODUCT)
def test_what_others_may_use_says_what_it_is(path: Path) -> None:
    silent = [
        node.name for node in public_definitions(ast.parse(path.read_text())) if not ast.get_docstring(node)
    ]
    assert not silent


@named(MODULES)
def test_a_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX


@named([path for path in PRODUCT if str(path.relative_to(ROOT)) not in WITH_OUTPUT])
def test_what_runs_in_a_node_logs_and_does_not_print(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    prints = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert not prints


@named(TEXTS)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert not [line for line in path.read_text().splitlines() if UNFINISHED.search(line)]


@named(TEXTS)
def test_nothing_speaks_of_the_machine_it_was_written_on(path: Path) -> None:
    assert not [line for line in path.read_text().splitlines() if MACHINE.search(line)]


@named(TEXTS)
def test_the_files_that_it_names_are_there(path: Path) -> None:
    there = {tail for file in MODULES for tail in tails(file.relative_to(ROOT))}
    assert not [name for name in FILE.findall(path.read_text()) if name not in there]


def test_the_consensus_core_imports_the_standard_library_alone() -> None:
    assert not third_parties("raft/core")
    ours = {
        name
        for path in (ROOT / "raft/core").rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in PACKAGES
    }
    assert {name for name in ours if not name.startswith("raft.core")} == set()


def test_the_wire_format_imports_hiredis_alone() -> None:
    assert third_parties("resp") <= {"hiredis"}


def test_every_package_says_that_it_is_typed() -> None:
    for package in ("resp", "raft", "server"):
        assert (ROOT / package / "py.typed").exists()
