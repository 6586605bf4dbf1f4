"""Values as Redis writes them into RDB files: one file per form or type; types/dump.py puts them together."""
