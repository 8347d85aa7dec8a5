#!/usr/bin/env python3
"""Derives the table of foreign land that location proofs are checked against (docs/location.md).

Usage: foreign_land.py COUNTRIES_10M_JSON TABLE PROBES

COUNTRIES_10M_JSON is `countries-10m.json` of the npm package world-atlas 2.0.2 (Natural Earth 1:10m, public domain,
as TopoJSON); its SHA-256 is checked. Needs shapely 2. The committed table was written with shapely 2.2.0: another
version may place a cell's centre a metre elsewhere, which changes the bytes and not what they cover.

TABLE gets one disc for each cell of a quadtree that has land in it which is not undisputed Japan: a centre and a
radius that covers all of that land, the error of the data included. PROBES gets points inside the polygons, drawn
without the quadtree, so that a test can ask whether the discs cover them.
"""

import hashlib
import json
import math
import random
import struct
import sys

import shapely
from shapely.geometry import MultiPoint, Point, Polygon, box
from shapely.strtree import STRtree

SOURCE_SHA256 = "3bc6f1d367a9bcec479841bae0e76092f512838411d0cef124e92eec4db45f79"
JAPAN = "Japan"
EARTH_KM = 6371.00880
# All land within this chord of the reference is in the table; beyond it everything counts as foreign.
REFERENCE = (34.0, 135.0)
HORIZON_KM = 2000.0
# Natural Earth 1:10m is drawn within about a kilometre of the shore; twice that, its grid (400 m at most, rounded to
# half of it) and the rounding of this file.
DATA_ERROR_KM = 2.0 + 0.25 + 0.02
# A cell is small enough when its land fits into a disc of this share of its distance to Japan.
SHARE = 0.015
SMALLEST_KM = 1.2
ROOT = (-5.0, 95.0, 80.0)

# Coasts with more islands than the source has: south, west, north, east, and how far from the source's land others lie.
# No coast that faces Japan is among them; there the islets below are complete as far as anybody has looked.
BELTS = [
    (33.0, 116.0, 41.5, 126.9, 45.0),
    (33.8, 126.9, 35.2, 128.0, 16.0),
    (26.0, 116.0, 33.0, 124.0, 32.0),
    (19.0, 105.0, 26.0, 120.4, 36.0),
    (17.0, 119.0, 21.8, 123.5, 46.0),
    (51.0, 134.0, 60.0, 147.0, 20.0),
    (46.3, 149.5, 52.0, 158.0, 18.0),
    (42.3, 130.4, 43.3, 132.6, 10.0),
    (38.5, 124.0, 41.8, 130.6, 15.0),
    (13.0, 144.0, 21.0, 147.0, 10.0),
]

# Islets that the source leaves out, as far from what it has as matters: latitude, longitude. Written down by hand, so
# each gets a wide disc; of the two that are nearest to Japan the place is known better.
ISLET_KM = 5.0
NEAR_ISLET_KM = 2.5
NEAR_ISLETS = [(34.534, 128.732), (45.796, 142.223)]
ISLETS = [
    (34.05, 127.60), (33.99, 126.92), (33.95, 126.32), (33.118, 126.267), (34.62, 128.56),
    (34.885, 128.95), (35.02, 129.10), (34.45, 128.30), (34.43, 127.80), (34.07, 125.12), (36.62, 125.56),
    (34.55, 128.43), (37.53, 130.94), (25.628, 122.079), (25.485, 122.10), (25.43, 121.94), (24.843, 121.95),
    (21.95, 121.61), (26.37, 120.49), (24.99, 119.45), (20.70, 116.72), (30.72, 123.15), (31.42, 122.24),
    (30.43, 122.93), (30.17, 122.94), (30.13, 122.77), (28.89, 122.26), (28.45, 121.88), (27.47, 121.08),
    (27.00, 120.70), (33.01, 121.63), (35.14, 119.90), (35.90, 120.88), (36.27, 121.39), (46.25, 141.25),
    (48.50, 144.63), (42.47, 130.92), (42.77, 132.35), (56.40, 143.40), (46.72, 150.73),
    (46.50, 150.90), (47.53, 152.82), (48.29, 153.25), (48.54, 153.85), (48.98, 153.48), (49.78, 154.43),
    (50.20, 154.98), (16.70, 145.78), (20.55, 144.89), (20.02, 145.22), (16.02, 146.06), (34.49, 128.09), (34.53, 128.07),
    (34.42, 127.90), (34.23, 127.53), (34.16, 127.45), (34.70, 128.40), (34.72, 128.30), (25.18, 121.83),
    (35.02, 129.00), (35.01, 128.60), (45.56, 148.80),
]

# Land that more than one state claims: never provable, never named, whomever the source gives it to. Outlines of areas
# (all land in them counts) and discs.
CLAIMED_AREAS = [
    [(43.30, 145.840), (43.395, 145.837), (43.47, 145.70), (43.60, 145.43), (43.75, 145.33), (44.00, 145.45),
     (44.20, 145.55), (44.40, 145.75), (45.00, 146.50), (45.80, 147.50), (45.80, 149.60), (44.00, 149.60),
     (43.10, 147.00), (43.10, 145.840)],
]
# Of these the sea counts too: there are too many rocks to list.
CLAIMED_WATERS = [
    [(43.37, 145.850), (43.40, 145.840), (43.48, 145.80), (43.72, 146.30), (43.62, 146.55), (43.30, 146.15),
     (43.30, 145.90)],
]
CLAIMED_DISCS = [
    (37.2417, 131.8667, 3.0),
    (25.745, 123.475, 5.0), (25.73, 123.55, 5.0), (25.80, 123.53, 5.0), (25.925, 123.68, 5.0), (25.92, 124.56, 5.0),
]


def vector(lat, lng):
    lat, lng = math.radians(lat), math.radians(lng)
    return (math.cos(lat) * math.cos(lng), math.cos(lat) * math.sin(lng), math.sin(lat))


def chord_km(a, b):
    return EARTH_KM * math.dist(vector(*a), vector(*b))


def arc_km(a, b):
    half = min(1.0, math.dist(vector(*a), vector(*b)) / 2)
    return 2 * EARTH_KM * math.asin(half)


def read(path):
    """Polygons by country, and rings that the source's grid has shrunk to a line, as points."""
    raw = open(path, "rb").read()
    found = hashlib.sha256(raw).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{path} has SHA-256 {found}, not {SOURCE_SHA256}")
    topology = json.loads(raw)
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for steps in topology["arcs"]:
        x = y = 0
        arc = []
        for dx, dy in steps:
            x, y = x + dx, y + dy
            arc.append((x * scale[0] + translate[0], y * scale[1] + translate[1]))
        arcs.append(arc)

    def ring(ids):
        points = []
        for i in ids:
            arc = arcs[i] if i >= 0 else arcs[~i][::-1]
            points += arc[1:] if points else arc
        return points

    countries, specks = {}, []
    for geometry in topology["objects"]["countries"]["geometries"]:
        name = geometry["properties"]["name"]
        kind = geometry["type"]
        polygons = {"Polygon": [geometry["arcs"]], "MultiPolygon": geometry["arcs"]}[kind]
        for outline in polygons:
            rings = [ring(ids) for ids in outline]
            if len(rings[0]) < 4:
                if name != JAPAN:
                    specks.append(rings[0][0])
                continue
            polygon = shapely.make_valid(Polygon(rings[0], [r for r in rings[1:] if len(r) > 3]))
            countries.setdefault(name, []).append(polygon)
    return countries, specks


def split(countries):
    """Undisputed Japan and all other land."""
    claimed = shapely.union_all([Polygon([(lng, lat) for lat, lng in area]) for area in CLAIMED_AREAS])
    claimed = claimed.union(shapely.union_all([disc(*d) for d in CLAIMED_DISCS]))
    frame = box(ROOT[1], ROOT[0], ROOT[1] + ROOT[2], ROOT[0] + ROOT[2])
    japan = areal(shapely.union_all(countries[JAPAN]).difference(claimed))
    others = [p.intersection(frame) for name, ps in countries.items() if name != JAPAN for p in ps if p.intersects(frame)]
    land = shapely.union_all(others).union(shapely.union_all(countries[JAPAN]).intersection(claimed))
    waters = [Polygon([(lng, lat) for lat, lng in area]) for area in CLAIMED_WATERS]
    return japan.difference(shapely.union_all(waters)), areal(land.union(shapely.union_all(waters)))


def areal(geometry):
    """Only what has an area: where outlines meet, a union leaves lines."""
    parts = shapely.get_parts(shapely.get_parts([geometry]))
    return shapely.union_all([p for p in parts if p.geom_type in ("Polygon", "MultiPolygon")])


def disc(lat, lng, km):
    """A polygon around the disc."""
    ky, kx = km / 111.0, km / (111.0 * math.cos(math.radians(lat)))
    turns = [math.tau * k / 16 for k in range(16)]
    out = 1 / math.cos(math.pi / 16)
    return Polygon([(lng + kx * out * math.cos(a), lat + ky * out * math.sin(a)) for a in turns])


def vertices(geometry):
    """Corners, with more on long edges: a parallel is no great circle."""
    return [(y, x) for x, y in shapely.get_coordinates(shapely.segmentize(geometry, 0.25))]


class Distance:
    """To undisputed Japan, by its vertices on the sphere."""

    def __init__(self, japan):
        # About one point for every two kilometres of shore is enough: it decides how fine a cell is, not what it covers.
        points = shapely.get_coordinates(japan)
        self.tree = STRtree([Point(*vector(lat, lng)[:2]) for lng, lat in points])
        self.vectors = [vector(lat, lng) for lng, lat in points]
        self.grid = {}
        for v in self.vectors:
            self.grid.setdefault(tuple(int(math.floor(c * 60)) for c in v), []).append(v)
        self.coarse = [cell[0] for cell in self.grid.values()]

    def km(self, lat, lng):
        at = vector(lat, lng)
        near = sorted(self.coarse, key=lambda v: math.dist(at, v))[:6]
        keys = {tuple(int(math.floor(c * 60)) for c in v) for v in near}
        return EARTH_KM * min(math.dist(at, v) for key in keys for v in self.grid[key])


def cover(land, distance):
    """Discs (latitude, longitude, km) that cover the land."""
    discs = []

    def fitted(part):
        """The least disc around a part, nearly."""
        lat = shapely.centroid(part).y
        k = math.cos(math.radians(lat))
        flat = shapely.transform(part, lambda c: c * [k, 1.0])
        centre = shapely.centroid(shapely.minimum_bounding_circle(flat))
        lat, lng = round(centre.y, 6), round(centre.x / k, 6)
        return lat, lng, max(arc_km((lat, lng), v) for v in vertices(part))

    def visit(part, south, west, side):
        cell = box(west, south, west + side, south + side)
        part = shapely.intersection(part, cell)
        if part.is_empty or part.area == 0:
            return
        lat, lng, km = fitted(part)
        away = chord_km(REFERENCE, (lat, lng))
        if away - km > HORIZON_KM + 50:
            return
        # A cell that reaches over the horizon may stay coarse: nobody gets there.
        d = distance.km(lat, lng)
        allowed = max(SMALLEST_KM, SHARE * max(0.0, d - km))
        fits = km <= allowed
        if not fits and part.area > 0.9999 * cell.area and km < 300:
            # All land: a large disc is as good as many small ones unless it bulges far over the shore.
            k = 111.19 * math.cos(math.radians(lat))
            shore = shapely.distance(Point(lng, lat), LAND_EDGE) * min(k, 111.19)
            fits = shore >= km - allowed
        if fits or side < 0.002:
            discs.append((lat, lng, km))
            return
        half = side / 2
        for dy in (0, half):
            for dx in (0, half):
                visit(part, south + dy, west + dx, half)

    visit(land, *ROOT)
    return discs


def merged(discs, distance):
    """Without discs that lie in another one."""
    kept = []
    for lat, lng, km in sorted(discs, key=lambda d: -d[2]):
        inside = any(abs(a - lat) * 111 < r and arc_km((a, b), (lat, lng)) + km <= r for a, b, r in kept[:4000])
        if not inside:
            kept.append((lat, lng, km))
    return sorted(kept, key=lambda d: (round(distance.km(d[0], d[1]) - d[2], 3), d))


def probes(land, distance, count):
    """Points inside the land: half of them at the shores nearest to Japan, the others anywhere within the horizon."""
    random.seed(20261122)
    corners = [v for v in vertices(land) if chord_km(REFERENCE, v) < HORIZON_KM - 50]
    corners.sort(key=lambda v: distance.km(*v))
    near = random.sample(corners[: len(corners) // 4], count // 2)
    shapely.prepare(land)
    far = []
    while len(far) < count - len(near):
        lat = math.degrees(math.asin(random.uniform(math.sin(math.radians(15)), math.sin(math.radians(53)))))
        at = (lat, random.uniform(110, 162))
        if chord_km(REFERENCE, at) < HORIZON_KM - 50 and shapely.contains_xy(land, at[1], at[0]):
            far.append(at)
    extra = [d[:2] for d in CLAIMED_DISCS] + NEAR_ISLETS + ISLETS
    return near + far + [at for at in extra if chord_km(REFERENCE, at) < HORIZON_KM - 50]


def main():
    global LAND_EDGE
    source, table, probe_file = sys.argv[1:]
    countries, specks = read(source)
    japan, land = split(countries)
    distance = Distance(japan)
    LAND_EDGE = land.boundary
    shapely.prepare(LAND_EDGE)
    discs = cover(land, distance)
    by_hand = CLAIMED_DISCS + [(lat, lng, ISLET_KM) for lat, lng in ISLETS]
    by_hand += [(lat, lng, NEAR_ISLET_KM) for lat, lng in NEAR_ISLETS] + [(y, x, 1.0) for x, y in specks]
    discs += [d for d in by_hand if chord_km(REFERENCE, d[:2]) < HORIZON_KM + 50]
    discs = merged(discs, distance)
    rows = b""
    for lat, lng, km in discs:
        belts = [belt for s, w, n, e, belt in BELTS if s <= lat < n and w <= lng < e]
        metres = (km + DATA_ERROR_KM + max(belts, default=0.0)) * 1000
        rows += struct.pack(">iiH", round(lat * 1e6), round(lng * 1e6), math.ceil(metres / 10))
    head = b"sekisho foreign land 1\n"
    head += struct.pack(">iiII", round(REFERENCE[0] * 1e6), round(REFERENCE[1] * 1e6), round(HORIZON_KM * 1000), len(discs))
    open(table, "wb").write(head + rows)
    points = probes(land, distance, 2000)
    text = "".join(f"{round(lat * 1e6)},{round(lng * 1e6)}\n" for lat, lng in points)
    open(probe_file, "w").write(text)
    print(f"{len(discs)} discs, {len(head + rows)} bytes, {len(points)} probes; SHA-256 {hashlib.sha256(head + rows).hexdigest()}")


if __name__ == "__main__":
    main()
