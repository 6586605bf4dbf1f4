"""Imports every family of commands, so that the table is whole before the first request."""

from importlib import import_module
from pkgutil import iter_modules

import server.commands

loaded = tuple(
    import_module(f"server.commands.{module.name}")
    for module in iter_modules(server.commands.__path__)
    if module.name != "all"
)
"""The modules of this folder."""
