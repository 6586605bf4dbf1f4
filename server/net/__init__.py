"""Sockets of clients: one reactor, connections as state machines."""
