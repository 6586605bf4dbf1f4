"""The command `redraft`: reads the command line, says what is wrong with it, and hands over.

Exit codes: 0 done, 1 a mistake of the operator or a node that can not run (one sentence a problem on standard error),
2 a command line that makes no sense. To add a command: a function here that parses, and a module that does the work;
what is only needed by one command is imported in it, so that `redraft status` starts at once.
"""

import errno
import json
import sys
from typing import Any, NoReturn

import click

from server.config.file import Config, check_data_directory, load
from server.config.reader import ConfigError
from server.version import BUILD, REDRAFT_VERSION

_FILE = click.Path(dir_okay=True)
"""Not checked here: config/file.py says what is wrong with a file in its own words."""
_PORT = click.IntRange(1, 65535)


def _fail(error: Exception) -> NoReturn:
    """Print what is wrong and end with exit code 1."""
    for line in str(error).splitlines():
        click.echo(f"redraft: {line}", err=True)
    sys.exit(1)


class _Commands(click.Group):
    """What can not be written to standard output is a mistake as any other."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # who read it has seen enough
            _fail(OSError(f"{error.filename or 'standard output'}: {error.strerror}"))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(f"{REDRAFT_VERSION} ({BUILD})", prog_name="redraft")
def main() -> None:
    """A Redis-protocol server whose every acknowledged write is on the disks of a majority."""


@main.command()
@click.argument("file", type=_FILE, required=False)
@click.option("--node", metavar="NAME", help="Which node of the file to run; needed when it has several.")
@click.option(
    "--port", type=_PORT, metavar="N", help="Client port, instead of the configured one (standalone only)."
)
@click.option("--data", metavar="DIR", help="Data directory, instead of the configured one.")
def serve(file: str | None, node: str | None, port: int | None, data: str | None) -> None:
    """Run one node: of the configuration FILE, or a standalone one on port 6379 with its data in ./redraft-data."""
    try:
        config = load(file).with_overrides(node, port=port, data=data)
        check_data_directory(config, config.node_name(node))
    except ConfigError as error:
        _fail(error)
    from server.app import run

    sys.exit(run(config, config.node_name(node)))


@main.group()
def cluster() -> None:
    """Run all nodes of a cluster on this machine."""


@cluster.command("start")
@click.argument("file", type=_FILE)
def cluster_start(file: str) -> None:
    """Run every node of FILE that is on this machine, in the foreground, until Ctrl-C."""
    from server.operator.supervisor import supervise

    try:
        sys.exit(supervise(load(file)))
    except ConfigError as error:
        _fail(error)


@main.group("config")
def config_group() -> None:
    """Work on configuration files."""


@config_group.command("check")
@click.argument("file", type=_FILE)
def config_check(file: str) -> None:
    """Say what is wrong with FILE, or that nothing is."""
    from server.config.users import configured_users
    from server.operator.supervisor import local_nodes
    from server.parameters.settings import Settings

    try:
        config = load(file)
        configured_users(config, Settings(config.redis_parameters()))
        for name in local_nodes(config):
            check_data_directory(config, name)
    except ConfigError as error:
        _fail(error)
    click.echo(f"{file}: {_summary(config)}")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of any node.")
@click.option(
    "--port", type=_PORT, default=6379, show_default=True, metavar="N", help="Client port of that node."
)
@click.option(
    "--password", default="", envvar="REDRAFT_PASSWORD", help="Or in the environment as REDRAFT_PASSWORD."
)
@click.option("--json", "as_json", is_flag=True, help="The same data as JSON.")
def status(host: str, port: int, password: str, as_json: bool) -> None:
    """Print nodes, shard groups, leaders, terms, logs and lag."""
    from server.operator.status import StatusError, cluster_status, show

    try:
        found = cluster_status(host, port, password)
    except StatusError as error:
        _fail(error)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    from rich.console import Console

    show(found, Console(highlight=False))


@main.command()
@click.argument("file", type=_FILE)
@click.option("--node", metavar="NAME", required=True, help="The node whose data is lost.")
@click.option(
    "--password", default="", envvar="REDRAFT_PASSWORD", help="Or in the environment as REDRAFT_PASSWORD."
)
def rebuild(file: str, node: str, password: str) -> None:
    """Make the other nodes of FILE take back a node whose data directory is lost or damaged.

    Run it while that node is stopped. Move what is left of its data directory away, and start it again when this is
    done: the others send it everything.
    """
    from server.operator.rebuild import RebuildError
    from server.operator.rebuild import rebuild as run

    try:
        run(load(file), node, password, click.echo)
    except (ConfigError, RebuildError) as error:
        _fail(error)


def _summary(config: Config) -> str:
    """A sentence about a configuration that is right."""
    if not config.clustered:
        name = config.node_name(None)
        return f"right; a standalone node {name} on port {config.nodes[name].port}, shard groups: {config.groups}"
    return (
        f"right; cluster {config.cluster}, nodes {', '.join(config.nodes)}, shard groups: {config.groups},"
        f" replicas of each: {config.replicas}, routing: {config.routing}"
    )
