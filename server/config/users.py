"""The users that the configuration names: in [acl] itself, or in a file of their own.

Read when a node starts and by `redraft config check`. What ACL LOAD reads is the file of the running node
(server/access/commands.py).
"""

from pathlib import Path

from server.access.rules import User
from server.access.users import read_users
from server.commands import all as all_commands
from server.config.file import Config
from server.config.reader import ConfigError
from server.parameters.settings import Settings
from server.session import DEFAULT_USER


def configured_users(config: Config, settings: Settings) -> dict[bytes, User]:
    """The default user, and those of [acl]. Raises ConfigError."""
    assert all_commands.loaded  # rules name them
    acl = config.acl
    where = f"{config.source}: acl."
    source, text = f"{where}users".encode(), acl.users.encode()
    if acl.file:
        source = acl.file.encode()
        try:
            text = Path(acl.file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{where}file: {acl.file} can not be read: {error.strerror}") from error
    try:
        users = read_users(text, source, channels=settings.value("acl-pubsub-default") == b"allchannels")
    except ValueError as error:
        raise ConfigError(str(error).rstrip()) from error
    users.setdefault(DEFAULT_USER, User.default(settings.requirepass))
    return users
