#!/usr/bin/env python3
"""Holds the table of foreign land against other data (docs/location.md). The other data is no input of the table.

Usage: foreign_land_check.py COUNTRIES_10M_JSON TABLE DISTANCE_GRID

DISTANCE_GRID is `distance_to_land_0.1deg_gt0km2.nc` of the PyPI package landmetrics 1.0.0: how far the nearest land of
GSHHG at full resolution is from each tenth of a degree. A point at sea has a gap if the nearest disc of the table is
further away than that, and so are the outlines of Japan. Where the table has nothing within 60 km of the gap, it is taken
for one of Japan's own islands that the outlines lack. Needs shapely 2, numpy, scipy and h5py; exits with 1 if there are gaps.
"""

import struct
import sys

import h5py
import numpy as np
import shapely
from scipy.spatial import cKDTree

import foreign_land as made

# The grid is rounded to 0.2 km, and its sphere is not ours.
ROUNDED_KM = 0.3
# How far the outlines of Japan are from its shores.
OUTLINE_KM = 3.0
# Every speck of land has a point of the grid within 8 km. From further out, Japan's islands hide behind each other.
AT_SEA_KM = 10.0
OWN_KM = 60.0
# Two of them are nearer to the table than that, off Nemuro.
OWN = (43.21, 145.61, 10.0)


def vectors(lat, lng):
    lat, lng = np.radians(lat), np.radians(lng)
    cos = np.cos(lat)
    return np.stack([cos * np.cos(lng), cos * np.sin(lng), np.sin(lat)], -1) * made.EARTH_KM


def discs(path):
    raw = open(path, "rb").read().split(b"\n", 1)[1][16:]
    rows = np.array(list(struct.iter_unpack(">iiH", raw)), dtype=float)
    return vectors(rows[:, 0] / 1e6, rows[:, 1] / 1e6), rows[:, 2] / 100


def to_discs(points, centres, radii):
    """Distance to the nearest disc: by classes of radius, in each of which the nearest twelve centres are enough."""
    best = np.full(len(points), np.inf)
    classes = np.round(2 * np.log2(radii)).astype(int)
    for one in np.unique(classes):
        of = classes == one
        count = min(12, int(of.sum()))
        away, which = cKDTree(centres[of]).query(points, k=count)
        away, which = away.reshape(len(points), count), np.asarray(which).reshape(len(points), count)
        best = np.minimum(best, (away - radii[of][which]).min(axis=1))
    return best


def main():
    source, table, grid = sys.argv[1:]
    japan, _ = made.split(made.read(source)[0])
    outline = shapely.get_coordinates(shapely.segmentize(japan, 0.01))
    with h5py.File(grid, "r") as file:
        lat, lng = np.meshgrid(file["lat"][:].astype(float), file["lon"][:].astype(float), indexing="ij")
        known = file["distance_to_land"][:].ravel() * 0.2
    points = vectors(lat.ravel(), lng.ravel())
    reference = vectors(np.array(made.REFERENCE[0]), np.array(made.REFERENCE[1]))
    inside = np.linalg.norm(points - reference, axis=1) < made.HORIZON_KM - 10
    asked = inside & (known >= 0) & (known < AT_SEA_KM)
    points, known = points[asked], known[asked]
    home = cKDTree(vectors(outline[:, 1], outline[:, 0])).query(points)[0] - OUTLINE_KM
    abroad = to_discs(points, *discs(table))
    gap = np.minimum(home, abroad) > known + ROUNDED_KM
    own = np.linalg.norm(points - vectors(np.array(OWN[0]), np.array(OWN[1])), axis=1) < OWN[2]
    foreign = gap & (abroad - known < OWN_KM) & ~own
    print(f"{len(points)} points, {int(gap.sum())} with land that neither has, {int(foreign.sum())} of them gaps")
    for at in np.flatnonzero(foreign):
        place = lat.ravel()[asked][at], lng.ravel()[asked][at]
        print(f"{place[0]:.1f},{place[1]:.1f}: land at {known[at]:.1f} km, table at {abroad[at]:.1f} km")
    sys.exit(1 if foreign.any() else 0)


if __name__ == "__main__":
    main()
