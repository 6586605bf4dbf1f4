"""Geospatial commands: places as members of a sorted set. Meaning is in types/geo.py.

GEORADIUS and GEORADIUSBYMEMBER are GEOSEARCH with the centre and the radius in fixed places; `_Search` is all of them,
read in Redis's order: the key's type, then the arguments as they come, then what does not go together.
"""

from resp.values import NULL_ARRAY, Raw
from server.commands.arguments import floating, int32, integer
from server.commands.table import DENYOOM, READONLY, WRITE, Args, Keys, Reply, command
from server.commands.zset_ranges import store_pairs
from server.commands.zsets import READ, AddOptions, add
from server.errors import SYNTAX, CommandError
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.types import geo, zsets
from server.types.geo import Area, Found, Point, Polygon, Shape

_VERTICES_MIN = 3
_UNIT = b"ERR unsupported unit provided. please use M, KM, FT, MI"
_SEARCH_COST = (
    "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as "
    "the filter and M is the number of items inside the shape"
)
_RADIUS_COST = (
    "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center "
    "and radius and M is the number of items inside the index."
)


def _point(longitude: bytes, latitude: bytes) -> Point:
    point = Point(floating(longitude), floating(latitude))
    if abs(point.longitude) > geo.LONGITUDE_MAX or abs(point.latitude) > geo.LATITUDE_MAX:
        raise CommandError(b"ERR invalid longitude,latitude pair %f,%f" % point)
    return point


def _unit(text: bytes) -> float:
    unit = geo.UNITS.get(text.lower())
    if unit is None:
        raise CommandError(_UNIT)
    return unit


def _coordinate(number: float) -> Reply:
    """With 17 decimals, less the zeros at the end."""
    text = (b"%.17f" % number).rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


def _coordinates(view: View, point: Point) -> Reply:
    texts = [_coordinate(number) for number in point]
    return [Raw(b",%b\r\n" % text) for text in texts] if view.protocol == 3 else texts


def _distance(distance: float) -> bytes:
    """With four decimals."""
    return b"%d.%04d" % divmod(round(distance * 10000), 10000)


@command(
    "geoadd",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="RW update"),
    since="3.2.0",
    group="geo",
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted set.",
)
def geoadd(view: View, args: Args) -> Reply:
    """Adds one or more members to a geospatial index. The key is created if it doesn't exist."""
    at = 2
    while at < len(args) and args[at].lower() in (b"nx", b"xx", b"ch"):
        at += 1
    words = frozenset(word.lower() for word in args[2:at])
    if (len(args) - at) % 3 or len(args) == at or words >= {b"nx", b"xx"}:
        raise CommandError(SYNTAX)
    pairs = [
        (args[place + 2], float(geo.encode(_point(args[place], args[place + 1]))))
        for place in paced(iter(range(at, len(args), 3)))
    ]
    return add(view, args[1], pairs, AddOptions(words))


def _scores(view: View, args: Args) -> list[float | None]:
    zset = zsets.find(view, args[1])
    return [None if zset is None else zset.score(member) for member in paced(iter(args[2:]))]


@command(
    "geopos",
    arity=-2,
    flags=READONLY,
    keys=READ,
    since="3.2.0",
    group="geo",
    complexity="O(1) for each member requested.",
)
def geopos(view: View, args: Args) -> Reply:
    """Returns the longitude and latitude of members from a geospatial index."""
    return [
        NULL_ARRAY if score is None else _coordinates(view, geo.decode(score))
        for score in _scores(view, args)
    ]


@command(
    "geohash",
    arity=-2,
    flags=READONLY,
    keys=READ,
    since="3.2.0",
    group="geo",
    complexity="O(1) for each member requested.",
)
def geohash(view: View, args: Args) -> Reply:
    """Returns members from a geospatial index as geohash strings."""
    return [None if score is None else geo.text(score) for score in _scores(view, args)]


@command("geodist", arity=-4, flags=READONLY, keys=READ, since="3.2.0", group="geo")
def geodist(view: View, args: Args) -> Reply:
    """Returns the distance between two members of a geospatial index."""
    if len(args) > 5:
        raise CommandError(SYNTAX)
    unit = _unit(args[4]) if len(args) == 5 else 1.0
    one, other = _scores(view, args[:4])
    if one is None or other is None:
        return None
    return _distance(geo.distance_m(geo.decode(one), geo.decode(other)) / unit)


class _Search:
    """A search command, understood."""

    def __init__(self, view: View, args: Args, source: bytes) -> None:
        self._name = args[0]
        self.zset = zsets.find(view, source)
        self.store: bytes | None = None
        """The key that the result goes to."""
        self.store_distance = False
        self._words: set[bytes] = set()
        self._count = 0
        self._unit = 1.0
        self._centre: Point | None = None
        self._located = False
        """A centre was given; that of a member of no key is unknown."""
        self._shape: Area | None = None

    def from_member(self, member: bytes) -> None:
        """The centre is where `member` is."""
        self._located = True
        if self.zset is None:
            return
        score = self.zset.score(member)
        if score is None:
            raise CommandError(b"ERR member " + member + b" does not exist")
        self._centre = geo.decode(score)

    def from_point(self, longitude: bytes, latitude: bytes) -> None:
        """The centre is given."""
        self._located = True
        self._centre = _point(longitude, latitude)

    def by_radius(self, radius: bytes, unit: bytes) -> None:
        """The area is a circle."""
        length = floating(radius, b"ERR need numeric radius")
        if length < 0:
            raise CommandError(b"ERR radius cannot be negative")
        self._unit = _unit(unit)
        self._shape = Shape(length * self._unit, length * self._unit, True)

    def by_box(self, width: bytes, height: bytes, unit: bytes) -> None:
        """The area is a box."""
        wide = floating(width, b"ERR need numeric width")
        high = floating(height, b"ERR need numeric height")
        if high < 0 or wide < 0:
            raise CommandError(b"ERR height or width cannot be negative")
        self._unit = _unit(unit)
        self._shape = Shape(wide * self._unit, high * self._unit, False)

    def by_polygon(self, count: bytes, rest: Args) -> None:
        """The area is a polygon, whose vertices begin `rest` and are taken from there; its centre is its own."""
        vertices = int32(count, b"ERR invalid number of vertices")
        if vertices < _VERTICES_MIN or len(rest) < 2 * vertices:
            raise CommandError(b"ERR GEOSEARCH BYPOLYGON must have at least 3 vertices")
        polygon = Polygon([_point(rest[2 * at], rest[2 * at + 1]) for at in range(vertices)])
        del rest[: 2 * vertices]
        self._located = True
        self._centre = polygon.centre
        self._shape = polygon

    def options(self, words: Args, *, search: bool, may_store: bool) -> None:
        """What follows; `search`: GEOSEARCH's own options too; `may_store`: GEORADIUS's STORE, or the STOREDIST of
        GEOSEARCHSTORE."""
        rest = list(words)
        while rest:
            name = rest.pop(0).lower()
            left = len(rest)
            if name in (b"withdist", b"withhash", b"withcoord", b"any", b"asc", b"desc"):
                self._words -= {b"asc", b"desc"} if name in (b"asc", b"desc") else set()
                self._words.add(name)
            elif name == b"count" and left:
                self._count = integer(rest.pop(0))
                if self._count <= 0:
                    raise CommandError(b"ERR COUNT must be > 0")
            elif name in (b"store", b"storedist") and may_store and not search and left:
                self.store = rest.pop(0)
                self.store_distance = name == b"storedist"
            elif name == b"storedist" and may_store and search:
                self.store_distance = True
            elif name == b"frommember" and search and left and not self._located:
                self.from_member(rest.pop(0))
            elif name == b"fromlonlat" and search and left >= 2 and not self._located:
                self.from_point(rest.pop(0), rest.pop(0))
            elif name == b"byradius" and search and left >= 2 and self._shape is None:
                self.by_radius(rest.pop(0), rest.pop(0))
            elif name == b"bybox" and search and left >= 3 and self._shape is None:
                self.by_box(rest.pop(0), rest.pop(0), rest.pop(0))
            elif name == b"bypolygon" and search and left >= 2 and self._may_be_polygon():
                self.by_polygon(rest.pop(0), rest)
            else:
                raise CommandError(SYNTAX)
        if self.store is not None and self._words & {b"withdist", b"withhash", b"withcoord"}:
            which = b"GEOSEARCHSTORE" if search else b"STORE option in GEORADIUS"
            raise CommandError(
                b"ERR " + which + b" is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )
        if not self._located:
            raise CommandError(
                b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + self._name
            )
        if search and self._shape is None:
            raise CommandError(
                b"ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for " + self._name
            )
        if b"any" in self._words and not self._count:
            raise CommandError(b"ERR the ANY argument requires COUNT argument")

    def _may_be_polygon(self) -> bool:
        """Neither centre nor area is given, or by a polygon before."""
        return isinstance(self._shape, Polygon) or not (self._located or self._shape)

    def reply(self, view: View) -> Reply:
        """The members found, or how many went to another key."""
        found = self._found()
        if self.store is not None:
            pairs = [
                (each.member, each.distance_m / self._unit if self.store_distance else each.score)
                for each in found
            ]
            event = b"geosearchstore" if self._name.lower() == b"geosearchstore" else b"georadiusstore"
            return store_pairs(view, self.store, pairs, event)
        return [self._described(view, each) for each in paced(iter(found))]

    def _found(self) -> list[Found]:
        if self.zset is None or self._centre is None or self._shape is None:
            return []
        any_ = b"any" in self._words
        found = geo.search(self.zset, self._centre, self._shape, self._count if any_ else 0)
        if b"desc" in self._words:
            found.sort(key=lambda each: -each.distance_m)
        elif b"asc" in self._words or (self._count and not any_):
            found.sort(key=lambda each: each.distance_m)
        return found[: self._count] if self._count else found

    def _described(self, view: View, each: Found) -> Reply:
        words = self._words
        extra: list[Reply] = []
        if b"withdist" in words:
            extra.append(_distance(each.distance_m / self._unit))
        if b"withhash" in words:
            extra.append(int(each.score))
        if b"withcoord" in words:
            extra.append(_coordinates(view, each.point))
        return [each.member, *extra] if extra else each.member


@command(
    "geosearch",
    arity=-7,
    flags=READONLY,
    keys=READ,
    since="6.2.0",
    group="geo",
    complexity=_SEARCH_COST,
)
def geosearch(view: View, args: Args) -> Reply:
    """Queries a geospatial index for members inside an area of a box, a circle or a polygon."""
    search = _Search(view, args, args[1])
    search.options(args[2:], search=True, may_store=False)
    return search.reply(view)


@command(
    "geosearchstore",
    arity=-8,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 2, access="OW update,RO access"),
    since="6.2.0",
    group="geo",
    complexity=_SEARCH_COST,
)
def geosearchstore(view: View, args: Args) -> Reply:
    """Queries a geospatial index for members inside an area of a box, a circle or a polygon, and stores the result."""
    search = _Search(view, args, args[2])
    search.store = args[1]
    search.options(args[3:], search=True, may_store=True)
    return search.reply(view)


def _radius(view: View, args: Args, may_store: bool) -> Reply:
    search = _Search(view, args, args[1])
    search.from_point(args[2], args[3])
    search.by_radius(args[4], args[5])
    search.options(args[6:], search=False, may_store=may_store)
    return search.reply(view)


def _radius_by_member(view: View, args: Args, may_store: bool) -> Reply:
    search = _Search(view, args, args[1])
    search.from_member(args[2])
    if search.zset is not None:  # around nothing, Valkey does not look at the radius either
        search.by_radius(args[3], args[4])
    search.options(args[5:], search=False, may_store=may_store)
    return search.reply(view)


def _stored_keys(start: int) -> Keys:
    """The source, and what STORE and STOREDIST name from index `start` on: the last of them counts."""

    def find(args: Args) -> list[int]:
        stored = [
            at + 1 for at in range(start, len(args) - 1) if args[at].lower() in (b"store", b"storedist")
        ]
        return [1, *stored[-1:]]

    return Keys(1, 1, 1, find, "RO access")


@command(
    "georadius",
    arity=-6,
    flags=WRITE | DENYOOM,
    keys=_stored_keys(6),
    since="3.2.0",
    group="geo",
    complexity=_RADIUS_COST,
)
def georadius(view: View, args: Args) -> Reply:
    """Queries a geospatial index for members within a distance from a coordinate, optionally stores the result."""
    return _radius(view, args, True)


@command(
    "georadius_ro",
    arity=-6,
    flags=READONLY,
    keys=READ,
    since="3.2.10",
    group="geo",
    complexity=_RADIUS_COST,
)
def georadius_ro(view: View, args: Args) -> Reply:
    """Returns members from a geospatial index that are within a distance from a coordinate."""
    return _radius(view, args, False)


@command(
    "georadiusbymember",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=_stored_keys(5),
    since="3.2.0",
    group="geo",
    complexity=_RADIUS_COST,
)
def georadiusbymember(view: View, args: Args) -> Reply:
    """Queries a geospatial index for members within a distance from a member, optionally stores the result."""
    return _radius_by_member(view, args, True)


@command(
    "georadiusbymember_ro",
    arity=-5,
    flags=READONLY,
    keys=READ,
    since="3.2.10",
    group="geo",
    complexity=_RADIUS_COST,
)
def georadiusbymember_ro(view: View, args: Args) -> Reply:
    """Returns members from a geospatial index that are within a distance from a member."""
    return _radius_by_member(view, args, False)
