"""Imports every family of commands, so that the table is whole before the first request."""

from importlib import import_module
from pkgutil import iter_modules

import server.access.commands
import server.commands

loaded = (
    *(
        import_module(f"server.commands.{module.name}")
        for module in iter_modules(server.commands.__path__)
        if module.name != "all"
    ),
    server.access.commands,
)
"""The modules of this folder, and of the room whose own commands need more than it may use."""
