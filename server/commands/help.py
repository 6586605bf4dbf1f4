"""The reply of `<COMMAND> HELP`, in Redis's shape."""

from resp.values import Simple


def help_reply(name: bytes, text: str) -> list[Simple]:
    """`name`: the command in upper case; `text`: one line of help a line, explanations indented by four blanks."""
    lines = text.strip("\n").split("\n")
    return [
        Simple(name + b" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"),
        *(Simple(line.encode()) for line in lines),
        Simple(b"HELP"),
        Simple(b"    Print this help."),
    ]
