"""Real servers, raw connections to them, and what it means that two of them say the same."""
