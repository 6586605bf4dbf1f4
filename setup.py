"""Compiles the path of every request with mypyc, where a C compiler is at hand: the files stay plain Python, and the
types that mypy has checked become those of C. Where there is none the same files run interpreted, at about two thirds
of the speed; REDRAFT_INTERPRETED=1 asks for that.

What is compiled is what every request or entry goes through, and runs in one go, and the commands that are used most.
Not compiled are declarations that msgspec reads the annotations of, what waits, where the time is seldom spent, and the
rest, so that an installation takes two minutes and not ten. Where mypyc does otherwise than Python, and what to
write instead: ARCHITECTURE.md.
"""

import os
from pathlib import Path

from mypyc.build import mypycify
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

ROOMS = {
    "resp": "inline replies requests values",
    "raft/core": "confchange election errors freshness log membership node quorum reads ready replication"
    " state storage tracker",
    "raft/runtime": "applying disk frames group host link workers",
    "raft/storage": "group_log journal log_store table",
    "server": "errors session",
    "server/commands": "arguments context evals function_calls hashes keys lists script_calls sets stream_arguments"
    " streams string_options strings table zset_pops zset_ranges zsets",
    "server/scripting": "interpreter memory script values",
    "server/telemetry": "stats",
    "server/keyspace": "breath cache collection databases deletions derived events heads home hot layer layout ledger"
    " leveldb limits notes order slots store uses view",
    "server/types": "crc_order expiry hashes keys lists listpack_sizes numbers rank_index rank_inside sets"
    " streams strings zset_ranges zsets",
    "server/dispatch": "asking blocking caching connection dispatcher gate hot observers order permissions places",
    "server/net": "budget connection output reactor",
    "server/shard": "call clock draft evaluator forward gather gathering overlay periods proofs receipts replica route"
    " router shard views visits waiters work",
}
"""Folder: the names of the files."""
LIBRARIES = {
    "redraft_raft": ("resp", "raft/core", "raft/runtime", "raft/storage"),
    "redraft_data": (
        "server",
        "server/commands",
        "server/scripting",
        "server/telemetry",
        "server/keyspace",
        "server/types",
    ),
    "redraft_path": ("server/dispatch", "server/net", "server/shard"),
}
"""Each is built by a process of its own."""


def forget_compiled(folder: str) -> None:
    """Remove what an earlier build has left: a library goes before a source file, however old it is."""
    for library in Path(folder).rglob("*.so"):
        library.unlink()


class BuildAnew(build):
    """Nothing of an earlier build gets into this one."""

    def run(self) -> None:
        """See setuptools."""
        forget_compiled(self.build_lib)
        super().run()


class CompileOrDoWithout(build_ext):
    """All or nothing: a module is a stub that needs its library, and libraries need each other."""

    def run(self) -> None:
        """See setuptools."""
        self.parallel = os.cpu_count()
        try:
            super().run()
        except (CCompilerError, ExecError, PlatformError) as error:
            self.warn(f"Redraft will run interpreted, at about two thirds of its speed: {error}")
            forget_compiled(self.build_lib)
            self.extensions = []


def extensions() -> list[Extension]:
    """The libraries, and a stub for each module."""
    if os.environ.get("REDRAFT_INTERPRETED"):
        return []
    groups = [
        ([f"{room}/{name}.py" for room in rooms for name in ROOMS[room].split()], library)
        for library, rooms in LIBRARIES.items()
    ]
    return mypycify(
        ["--config-file=", "--ignore-missing-imports", *(name for names, _ in groups for name in names)],
        opt_level="2",
        debug_level="0",
        separate=groups,
    )


setup(ext_modules=extensions(), cmdclass={"build": BuildAnew, "build_ext": CompileOrDoWithout})
