"""Geospatial commands, to the last digit."""

from tests.conformance.cases import Case
from tests.conformance.cases.zsets import lines

PLACES = [
    word
    for number in range(300)
    for word in (
        f"{number * 7919 % 3600 / 10 - 180}",
        f"{number * 104729 % 1700 / 10 - 85}",
        f"place:{number}",
    )
]

SQUARE = ("12", "37", "16", "37", "16", "39", "12", "39")
BOWTIE = ("12", "37", "16", "39", "16", "37", "12", "39")
TRIANGLE = ("13.361389", "38.115556", "14", "39", "13", "39")
HALF = ("-100", "-80", "100", "-80", "0", "80")
STAR = ("-80", "-60", "0", "70", "80", "-60", "-70", "20", "70", "20")
SLIVER = ("-180", "84", "180", "84", "0", "85")


def polygon(*vertices: str, count: str = "") -> list[str]:
    """The words after the key."""
    return ["BYPOLYGON", count or str(len(vertices) // 2), *vertices]


CASES = [
    Case(
        "polygons",
        [
            ["GEOADD", "g", *PLACES],
            [
                "GEOADD",
                "g",
                "13.361389",
                "38.115556",
                "Palermo",
                "15.087269",
                "37.502669",
                "Catania",
                "14",
                "38",
                "mid",
            ],
            *(
                ["GEOSEARCH", "g", *polygon(*vertices), *options]
                for vertices in (SQUARE, BOWTIE, TRIANGLE, HALF, STAR, SLIVER)
                for options in (
                    [],
                    ["DESC", "WITHDIST"],
                    ["COUNT", "3", "WITHDIST", "WITHCOORD", "WITHHASH"],
                    ["COUNT", "2", "ANY"],
                )
            ),
            ["GEOSEARCHSTORE", "{g}s", "g", *polygon(*STAR), "STOREDIST"],
            ["ZRANGE", "{g}s", "0", "-1", "WITHSCORES"],
            ["GEOSEARCHSTORE", "{g}s", "g", *polygon(*SQUARE)],
            ["ZRANGE", "{g}s", "0", "-1", "WITHSCORES"],
            *(
                ["GEOSEARCH", key, *words]
                for key in ("g", "nosuch")
                for words in (
                    *(
                        polygon(*SQUARE, count=count)
                        for count in ("3", "2", "0", "-1", "x", "5", "99999999999", "")
                    ),
                    polygon(*SQUARE[:4]),
                    polygon(*SQUARE, "km"),
                    polygon("200", "1", "2", "3", "4", "5"),
                    polygon("a", "1", "2", "3", "4", "5"),
                    ["BYPOLYGON", "4", "1", "2"],
                    ["BYPOLYGON", "3", "1", "2", "3"],
                    ["FROMMEMBER", "mid", *polygon(*SQUARE)],
                    ["FROMLONLAT", "1", "1", *polygon(*SQUARE)],
                    [*polygon(*SQUARE), "FROMLONLAT", "1", "1"],
                    [*polygon(*SQUARE), "FROMMEMBER", "mid"],
                    [*polygon(*SQUARE), "BYRADIUS", "1", "km"],
                    [*polygon(*SQUARE), *polygon(*BOWTIE)],
                    ["BYBOX", "4", "4", "km", *polygon(*SQUARE)],
                    [*polygon(*SQUARE), "COUNT", "0"],
                    [*polygon(*SQUARE), "ANY"],
                    [*polygon(*SQUARE), "WHAT"],
                )
            ),
            ["GEORADIUS", "g", "1", "1", "1", "km", *polygon(*SQUARE)],
            ["GEOSEARCH", "g", "ASC", "DESC", "ASC", "ASC", "BYPOLYGON"],
            ["GEOSEARCH", "g", "ASC", "DESC", "ASC", "ASC", "BYPOLYGON", "3"],
        ],
    ),
    Case(
        "two towns",
        lines("""GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOADD g 200 10 x
GEOADD g 10 86 x
GEOADD g x 10 x
GEOADD g 10 nan x
GEOADD g NX XX 1 1 x
GEOADD g NX GT 1 1 x
GEOADD g 1 1
GEOADD g CH 1 1
GEOADD g INCR 1 1 x
ZSCORE g Palermo
ZRANGE g 0 -1 WITHSCORES
GEOPOS g Palermo nope
GEOPOS nokey a
GEOHASH g Palermo nope
GEOHASH nokey a
GEODIST g Palermo Catania
GEODIST g Palermo Catania km
GEODIST g Palermo Catania x
GEODIST g Palermo nope
GEODIST g Palermo Catania km x
GEODIST g Palermo Palermo
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH
GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km DESC COUNT 1
GEOSEARCH g FROMMEMBER nope BYBOX 400 400 km
GEOSEARCH nokey FROMMEMBER nope BYBOX 400 400 km
GEOSEARCH nokey FROMMEMBER nope BYBOX 400 400 foo
GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 1 2 BYBOX 400 400 km
GEOSEARCH g BYBOX 400 400 km ASC COUNT 1 ANY
GEOSEARCH g FROMMEMBER Palermo ASC COUNT 1 ANY
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km BYBOX 1 1 km
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km ANY
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km COUNT 0
GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km COUNT x
GEOSEARCH g FROMMEMBER Palermo BYRADIUS -1 km
GEOSEARCH g FROMMEMBER Palermo BYRADIUS x km
GEOSEARCH g FROMMEMBER Palermo BYBOX x 1 km
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 x km
GEOSEARCH g FROMMEMBER Palermo BYBOX -1 1 km
GEOSEARCH g FROMLONLAT 500 1 BYBOX 1 1 km
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1 km STOREDIST
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1 km FOO
GEOSEARCH g FROMMEMBER Palermo BYBOX 1 1 km WITHDIST
GEOSEARCHSTORE d g FROMMEMBER Palermo BYBOX 1 1 km WITHDIST
GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 500 km STOREDIST
ZRANGE d 0 -1 WITHSCORES
GEOSEARCHSTORE d nokey FROMMEMBER Palermo BYRADIUS 500 km
EXISTS d
GEOSEARCHSTORE d g FROMMEMBER Catania BYRADIUS 500 km DESC
GEORADIUS g 15 37 200 km ASC STORE d2
GEORADIUS g 15 37 200 km WITHDIST STORE d2
GEORADIUS g 15 37 200 km STORE d2 STOREDIST d3
ZRANGE d3 0 -1 WITHSCORES
GEORADIUS_RO g 15 37 200 km STORE d2
GEORADIUS g 15 37 200 km FROMMEMBER x
GEORADIUS nokey 15 37 200 km
GEORADIUSBYMEMBER g Palermo 200 km WITHCOORD
GEORADIUSBYMEMBER g nope 200 km WITHCOORD
GEORADIUSBYMEMBER_RO g Palermo 200 km WITHDIST
GEORADIUSBYMEMBER nokey Palermo 200 km WITHDIST
GEORADIUSBYMEMBER nokey Palermo 200 km STORE d3
GEORADIUSBYMEMBER nokey Palermo x km
GEORADIUSBYMEMBER nokey Palermo -1 furlong COUNT 1
GEORADIUSBYMEMBER nokey Palermo x km COUNT
GEORADIUSBYMEMBER_RO nokey Palermo x km ANY
EXISTS d3
ZRANGE d 0 -1 WITHSCORES"""),
    ),
    Case(
        "places all over the world",
        [
            ["GEOADD", "g", *PLACES],
            ["GEOPOS", "g", *PLACES[2::3]],
            ["GEOHASH", "g", *PLACES[2::3]],
            ["ZRANGE", "g", "0", "-1", "WITHSCORES"],
            *(["GEODIST", "g", "place:1", f"place:{number}", "mi"] for number in range(0, 300, 17)),
            *(
                ["GEOSEARCH", "g", "FROMLONLAT", longitude, latitude, *shape, *order, "WITHDIST"]
                for longitude, latitude in (
                    *(
                        ("0", "0"),
                        ("13", "38"),
                        ("-100", "-40"),
                        ("179.9", "70"),
                        ("20", "84"),
                        ("-179", "-82"),
                    ),
                )
                for shape in (
                    *(["BYRADIUS", radius, "km"] for radius in ("0", "500", "1500", "6000", "30000")),
                    ["BYBOX", "3000", "1000", "km"],
                    ["BYBOX", "900", "5000", "mi"],
                )
                for order in ([], ["DESC"], ["COUNT", "3"])
            ),
        ],
    ),
    Case(
        "another type",
        lines("""SET str text
GEOADD str 1 1 a
GEOPOS str a
GEOHASH str a
GEODIST str a b
GEODIST str a b x
GEOSEARCH str FROMMEMBER a BYRADIUS 1 x
GEORADIUS str x 1 1 m
GEORADIUSBYMEMBER str x 1 m
GEOSEARCHSTORE d str FROMMEMBER a BYRADIUS 1 km"""),
    ),
    Case(
        "an area without end",
        lines("""GEOADD g 13.36 38.11 a -170 -80 b
GEORADIUS g 170 37 inf mi WITHDIST ASC
GEORADIUS g 2.5 -85.05 inf mi ASC
GEORADIUS g 2.5 -85.05 1e300 mi ASC
GEORADIUS g 2.5 -85.05 nan mi
GEOSEARCH g FROMLONLAT 2.5 -85.05 BYBOX inf 1 mi
GEOSEARCH g FROMLONLAT 2.5 -85.05 BYBOX 1 inf mi
GEOSEARCH g FROMLONLAT 2.5 -85.05 BYBOX inf inf mi ASC"""),
    ),
    Case(
        "scores that are no places",
        lines("""ZADD g inf a -inf b -5 c 1e300 d 4503599627370496 e 18446744073709551616 f -1e19 h 3479099956230698 n
GEOPOS g a b c d e f h n
GEOHASH g a b c d e f h n
GEODIST g a n
GEODIST g c n
GEOSEARCH g FROMMEMBER n BYRADIUS 300000 km ASC
GEORADIUSBYMEMBER g a 10 km
GEORADIUSBYMEMBER g b 10 km"""),
    ),
]
