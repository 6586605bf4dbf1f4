"""Lua scripts: the sandbox that they run in, their libraries, and where their texts are kept."""
