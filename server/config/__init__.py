"""The configuration file: its tables and settings, and what is wrong with it."""
