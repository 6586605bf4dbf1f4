"""Which node holds which group, and which group holds which slot."""
