"""The Redis-protocol server: clients on one side, Raft groups on the other. See ARCHITECTURE.md for the rooms."""
