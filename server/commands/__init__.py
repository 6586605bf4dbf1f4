"""The commands: parse the arguments, call types/, shape the reply. One file per family; see table.py."""
