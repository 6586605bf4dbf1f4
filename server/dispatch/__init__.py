"""From an argument list to a checked call: arity, authentication, MULTI, keys, slot, group."""
