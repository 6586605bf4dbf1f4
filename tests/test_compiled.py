"""The compiled server, see setup.py: that it is what runs, and that the core does in it what it does interpreted.

The tests of this process import the source tree, which is interpreted; processes that they start with -P import what is
installed.
"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SEEDS = "0:40"
_PURE = {"len", "min", "max", "bisect_left", "from_bytes"}


def installed(code: str) -> str:
    """What `code` prints where `server`, `raft` and `resp` are the installed ones, and `tests` this tree's."""
    head = f"import sys; sys.path.append({str(ROOT)!r})\n"
    run = [sys.executable, "-P", "-c", head + code]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=300, cwd="/").stdout


def simulated(*argv: str) -> str:
    return f"sys.argv[1:] = {argv!r}\nimport runpy\nrunpy.run_module('tests.sim', run_name='__main__')"


def without_time(line: str) -> str:
    return re.sub(r" in [0-9.]+ s", "", line)


def test_the_installed_server_is_compiled_where_there_is_a_compiler() -> None:
    build = installed("from server.version import BUILD; print(BUILD)").strip()
    assert build == ("compiled" if shutil.which("cc") else "interpreted")


def test_the_installed_server_is_that_of_this_tree() -> None:
    there = Path(installed("import server; print(server.__path__[0])").strip()).parent
    files = [
        path.relative_to(ROOT) for room in ("resp", "raft", "server") for path in (ROOT / room).rglob("*.py")
    ]
    old = [str(file) for file in files if (there / file).read_bytes() != (ROOT / file).read_bytes()]
    assert not old, "install again: the servers under test are not made of these files"


def test_the_compiled_core_decides_as_the_interpreted_one() -> None:
    words = ("--seeds", _SEEDS, "--jobs", "1")
    compiled = installed("from raft.core import node; print(node.__file__)\n" + simulated(*words))
    file, *_, last = compiled.splitlines()
    assert not file.startswith(str(ROOT / "raft"))
    here = subprocess.run(
        [sys.executable, "-m", "tests.sim", *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert without_time(last) == without_time(here.stdout.splitlines()[-1])
    assert " 0 failed" in last


def compiled_files() -> list[Path]:
    """By setup.py's table, which is read and not run: mypy is not installed with the package."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (table,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    )
    return [ROOT / room / f"{name}.py" for room, names in table.items() for name in names.split()]


def test_a_slice_has_nothing_happen_in_its_bounds() -> None:
    # What is compiled evaluates the bounds of a slice of a memoryview twice (mypyc 2.4).
    for path in compiled_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Slice):
                called = [inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call)]
                names = {ast.unparse(function).rpartition(".")[2] for function in called}
                assert names <= _PURE, f"{path}:{node.lower.lineno if node.lower else 0}"
                assert not any(isinstance(inner, ast.NamedExpr) for inner in ast.walk(node)), path


def test_what_is_compiled_declares_no_structs() -> None:
    # They want arguments of their metaclass.
    for path in compiled_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assert not any(ast.unparse(base).endswith("Struct") for base in node.bases), path


def test_a_name_is_one_type_of_exception() -> None:
    # What is compiled gives the name behind `as` the type of the function's first clause that has it.
    for path in compiled_files():
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                types: dict[str, str] = {}
                for clause in ast.walk(function):
                    if isinstance(clause, ast.ExceptHandler) and clause.name and clause.type:
                        caught = ast.unparse(clause.type)
                        assert types.setdefault(clause.name, caught) == caught, f"{path}:{clause.lineno}"


def test_no_generator_expression_is_handed_on() -> None:
    # What is compiled makes a list of it at once, however long that is. These are known to it, or take it all anyway.
    takers = {
        "any",
        "all",
        "sum",
        "next",
        "min",
        "max",
        "tuple",
        "list",
        "set",
        "frozenset",
        "sorted",
        "update",
        "join",
    }
    for path in compiled_files():
        tree = ast.parse(path.read_text())
        consumed = {
            id(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in takers
            for argument in call.args
        }
        for node in ast.walk(tree):
            assert not isinstance(node, ast.GeneratorExp) or id(node) in consumed, f"{path}:{node.lineno}"
