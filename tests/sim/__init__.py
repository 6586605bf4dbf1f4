"""A deterministic simulator of the Raft core: one seed decides everything. See world.py."""
