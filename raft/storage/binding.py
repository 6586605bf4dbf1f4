"""LevelDB's Python binding: plyvel where it has wheels (CPython up to 3.12), on newer ones its maintained fork."""

try:
    import plyvel
except ModuleNotFoundError:
    import plyvel_next as plyvel

__all__ = ["plyvel"]
