"""What the commands' docstrings say, for COMMAND DOCS.

A compiled handler has no docstring: its file has it, which lies beside the library. It is read when first asked for.
"""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def summary_of(handler: Callable[..., Any]) -> str:
    """The first line of the handler's docstring, without a full stop; empty when there is none."""
    text = handler.__doc__
    if text is None:
        text = _docstrings(handler.__module__).get(handler.__name__, "")
    return text.strip().split("\n")[0].rstrip(".")


@cache
def _docstrings(module: str) -> dict[str, str]:
    """Those of the functions of a file in this folder."""
    tree = ast.parse(Path(__file__).with_name(module.rpartition(".")[2] + ".py").read_bytes())
    return {
        node.name: ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)
    }
