"""A shard group's life on one node: the replica that applies, the leader that evaluates, the route to either."""
