"""Raft, knowing nothing of Redis: core/ decides, storage/ remembers, runtime/ moves bytes."""
