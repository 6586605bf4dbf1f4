"""`python -m server`: the command `redraft` without its script."""

from server.operator.cli import main

main(prog_name="redraft")
