"""Places on earth as scores of a sorted set: 52-bit geohashes, distances, and searching in circle, box or polygon.

A geohash interleaves 26 bits of latitude (the even ones) with 26 of longitude, so that a score range is a cell of a
grid: all cells of `step` bits each way are ranges of the first 2 * step bits. A search looks through the cell of its
centre, of a size that cell and neighbours cover the area for certain, and those of the eight neighbours that the area
reaches. Scores are whole numbers below 2 ** 52, which a double holds exactly.

The earth is a ball and the arithmetic that of Redis, operation for operation: replies agree to the last digit.
"""

from collections.abc import Iterator
from math import asin, atan2, cos, isfinite, nan, pi, radians, sin, sqrt
from typing import NamedTuple, Protocol

from server.types.zset_ranges import scores
from server.types.zsets import SortedSet, pair_of

LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
UNITS = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}

_STEP_MAX = 26
_EARTH_RADIUS_M = 6372797.560856
_MERCATOR_MAX_M = 20037726.37
_DEGREE = pi / 180.0
_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
_HASH_CHARACTERS = 11
_NEIGHBOURS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""(east, north) of a cell and those around it, in the order in which they are looked through."""
_SIGN_BIT, _ALL_BITS = 1 << 63, (1 << 64) - 1


class Point(NamedTuple):
    """Degrees."""

    longitude: float
    latitude: float


Box = tuple[float, float, float, float]
"""West, south, east, north, in degrees."""


class Area(Protocol):
    """Where to search."""

    def box(self, centre: Point) -> Box:
        """What surrounds the area around `centre`."""

    def reach_m(self, centre: Point) -> float:
        """No point of the area is further from its centre."""

    def distance_m(self, centre: Point, point: Point) -> float | None:
        """How far from the centre `point` is, None when it is not in the area."""


class Shape(NamedTuple):
    """A circle or a box around its centre."""

    width_m: float
    """Of a circle: the radius."""
    height_m: float
    circle: bool

    def box(self, centre: Point) -> Box:
        """See Area."""
        height_m = self.height_m if self.circle else self.height_m / 2
        width_m = self.width_m if self.circle else self.width_m / 2
        latitude = height_m / _EARTH_RADIUS_M / _DEGREE
        pole = centre.latitude - latitude if centre.latitude < 0 else centre.latitude + latitude
        # An endless height has no width at the pole: as in C, nothing is beyond what is no number.
        longitude = width_m / _EARTH_RADIUS_M / (cos(radians(pole)) if isfinite(pole) else nan) / _DEGREE
        return (
            centre.longitude - longitude,
            centre.latitude - latitude,
            centre.longitude + longitude,
            centre.latitude + latitude,
        )

    def reach_m(self, centre: Point) -> float:
        """See Area."""
        if self.circle:
            return self.width_m
        return sqrt((self.width_m / 2) * (self.width_m / 2) + (self.height_m / 2) * (self.height_m / 2))

    def distance_m(self, centre: Point, point: Point) -> float | None:
        """See Area."""
        if self.circle:
            away_m = distance_m(centre, point)
            return away_m if away_m <= self.width_m else None
        if _latitude_distance_m(point.latitude, centre.latitude) > self.height_m / 2:
            return None
        if distance_m(point, Point(centre.longitude, point.latitude)) > self.width_m / 2:
            return None
        return distance_m(centre, point)


class Polygon(NamedTuple):
    """Straight lines on the map from each vertex to the next, and from the last to the first. Where it crosses itself,
    what an odd number of lines has around it is inside."""

    vertices: list[Point]

    @property
    def centre(self) -> Point:
        """What the vertices have in their middle, on the ball."""
        x = y = z = 0.0
        for vertex in self.vertices:
            longitude, latitude = vertex.longitude * _DEGREE, vertex.latitude * _DEGREE
            x += cos(latitude) * cos(longitude)
            y += cos(latitude) * sin(longitude)
            z += sin(latitude)
        return Point(atan2(y, x) / _DEGREE, atan2(z, sqrt(x * x + y * y)) / _DEGREE)

    def box(self, centre: Point) -> Box:
        """See Area."""
        longitudes = [vertex.longitude for vertex in self.vertices]
        latitudes = [vertex.latitude for vertex in self.vertices]
        return min(longitudes), min(latitudes), max(longitudes), max(latitudes)

    def reach_m(self, centre: Point) -> float:
        """See Area: here that of the box's corners."""
        west, south, east, north = self.box(centre)
        return max(distance_m(centre, Point(x, y)) for x in (west, east) for y in (north, south))

    def distance_m(self, centre: Point, point: Point) -> float | None:
        """See Area."""
        inside = False
        before = self.vertices[-1]
        for vertex in self.vertices:
            if (vertex.latitude > point.latitude) != (before.latitude > point.latitude):
                slope = (before.longitude - vertex.longitude) * (point.latitude - vertex.latitude)
                if point.longitude < slope / (before.latitude - vertex.latitude) + vertex.longitude:
                    inside = not inside
            before = vertex
        return distance_m(centre, point) if inside else None


class Found(NamedTuple):
    """A member in the area."""

    member: bytes
    distance_m: float
    """From the centre."""
    score: float
    point: Point


def _spread(bits: int) -> int:
    """`bits` with a zero before each."""
    return int(f"{bits:b}", 4)


def _gather(bits: int) -> int:
    """Every second bit, the lowest first."""
    return int(f"{bits:b}"[::-1][::2][::-1] or "0", 2)


def _cell(point: Point, step: int, latitude_max: float) -> tuple[int, int]:
    """Column and row of the cell that `point` lies in."""
    size = 1 << step
    latitude = (point.latitude + latitude_max) / (latitude_max * 2)
    longitude = (point.longitude + LONGITUDE_MAX) / (LONGITUDE_MAX * 2)
    return int(longitude * size), int(latitude * size)


def _edges(at: int, step: int, limit: float) -> tuple[float, float]:
    """Where column or row `at` begins and ends, in degrees."""
    size = 1 << step
    return -limit + (at / size) * (limit * 2), -limit + ((at + 1) / size) * (limit * 2)


def encode(point: Point, latitude_max: float = LATITUDE_MAX) -> int:
    """The geohash."""
    column, row = _cell(point, _STEP_MAX, latitude_max)
    return _spread(column) << 1 | _spread(row)


def _bits(score: float) -> int:
    """A score as 64 bits without a sign, as C on x86-64 makes them of any number."""
    if abs(score) < _SIGN_BIT:
        return int(score) & _ALL_BITS
    if score < 0:
        return _SIGN_BIT
    return int(score) if score <= _ALL_BITS else 0


def decode(score: float) -> Point:
    """The middle of a geohash's cell."""
    bits = _bits(score)
    west, east = _edges(_gather(bits >> 1), _STEP_MAX, LONGITUDE_MAX)
    south, north = _edges(_gather(bits), _STEP_MAX, LATITUDE_MAX)
    longitude, latitude = (west + east) / 2, (south + north) / 2
    return Point(
        min(max(longitude, -LONGITUDE_MAX), LONGITUDE_MAX), min(max(latitude, -LATITUDE_MAX), LATITUDE_MAX)
    )


def text(score: float) -> bytes:
    """The geohash as others write it, whose latitudes go up to 90 degrees."""
    bits = encode(decode(score), 90.0)
    shifts = [_STEP_MAX * 2 - (number + 1) * 5 for number in range(_HASH_CHARACTERS)]
    return bytes(_ALPHABET[bits >> shift & 31 if shift >= 0 else 0] for shift in shifts)


def _latitude_distance_m(a: float, b: float) -> float:
    return _EARTH_RADIUS_M * abs(b * _DEGREE - a * _DEGREE)


def distance_m(a: Point, b: Point) -> float:
    """Along a great circle."""
    v = sin((b.longitude * _DEGREE - a.longitude * _DEGREE) / 2)
    if v == 0.0:
        return _latitude_distance_m(a.latitude, b.latitude)
    latitude_a, latitude_b = a.latitude * _DEGREE, b.latitude * _DEGREE
    u = sin((latitude_b - latitude_a) / 2)
    return 2.0 * _EARTH_RADIUS_M * asin(sqrt(u * u + cos(latitude_a) * cos(latitude_b) * v * v))


def search(zset: SortedSet, centre: Point, area: Area, limit: int) -> list[Found]:
    """The members in the area, up to `limit` of them (0: all)."""
    found: list[Found] = []
    for low, high in _cells(centre, area):
        for member, score in map(pair_of, scores(low, False, high, True).rows(zset, False, 0, None)):
            point = decode(score)
            away_m = area.distance_m(centre, point)
            if away_m is not None:
                found.append(Found(member, away_m, score, point))
                if limit and len(found) >= limit:
                    return found
    return found


def _step(reach_m: float, latitude: float) -> int:
    """Bits each way of cells that are as large as the area; near the poles, where they are narrow, larger."""
    if reach_m == 0:
        return _STEP_MAX
    step = 1
    while reach_m < _MERCATOR_MAX_M:
        reach_m *= 2
        step += 1
    step -= 2 + (abs(latitude) > 66) + (abs(latitude) > 80)
    return min(max(step, 1), _STEP_MAX)


def _cells(centre: Point, area: Area) -> Iterator[tuple[int, int]]:
    """The scores [low, high) of the cells to look through."""
    west, south, east, north = area.box(centre)
    step = _step(area.reach_m(centre), centre.latitude)
    column, row = _cell(centre, step, LATITUDE_MAX)
    size = 1 << step
    if step > 1 and (
        _edges((row + 1) % size, step, LATITUDE_MAX)[1] < north
        or _edges((row - 1) % size, step, LATITUDE_MAX)[0] > south
        or _edges((column + 1) % size, step, LONGITUDE_MAX)[1] < east
        or _edges((column - 1) % size, step, LONGITUDE_MAX)[0] > west
    ):
        step -= 1
        size >>= 1
        column, row = _cell(centre, step, LATITUDE_MAX)
    useless: set[tuple[int, int]] = set()
    if step >= 2:
        bottom, top = _edges(row, step, LATITUDE_MAX)
        left, right = _edges(column, step, LONGITUDE_MAX)
        useless = {
            (x, y)
            for x, y in _NEIGHBOURS
            if (x < 0 and left < west)
            or (x > 0 and right > east)
            or (y < 0 and bottom < south)
            or (y > 0 and top > north)
        }
    shift = 2 * (_STEP_MAX - step)
    last = -1
    for number, (x, y) in enumerate(_NEIGHBOURS):
        bits = _spread((column + x) % size) << 1 | _spread((row + y) % size)
        if (x, y) in useless or bits == last:
            continue
        if number:
            last = bits
        yield bits << shift, (bits + 1) << shift
