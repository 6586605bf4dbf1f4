"""The command `redraft`: what an operator does from a shell."""
