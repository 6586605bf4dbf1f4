"""Runtime parameters: what CONFIG GET and SET know."""
