#!/usr/bin/env python3
"""Holds the table of the prefectures' land against other data (docs/location.md). The other data is no input of the table.

Usage: prefecture_land_check.py PREFECTURE_TABLE FOREIGN_TABLE DISTANCE_GRID

DISTANCE_GRID is `distance_to_land_0.1deg_gt0km2.nc` of the PyPI package landmetrics 1.0.0: how far the nearest land of
GSHHG at full resolution is from each tenth of a degree. A point at sea around Japan has a gap if the nearest disc of both
tables is further away than that. GSHHG does not say whose an island is, so this finds islands that no prefecture has, and
not those that the wrong one has. Needs shapely 2, numpy, scipy and h5py; exits with 1 if there are gaps.
"""

import struct
import sys

import h5py
import numpy as np

import foreign_land_check as foreign
import prefecture_land as made

# Where Japan's islands are: south, west, north, east.
JAPAN = [(24.0, 122.5, 30.0, 132.0), (30.0, 128.0, 34.0, 143.0), (34.0, 129.0, 46.0, 146.0), (24.0, 139.0, 30.0, 143.0)]


def discs(path):
    raw = open(path, "rb").read().split(b"\n", 1)[1][4:]
    rows = np.array(list(struct.iter_unpack(">BHHH", raw)), dtype=float)
    return foreign.vectors(made.ORIGIN[0] + rows[:, 1] / 1e3, made.ORIGIN[1] + rows[:, 2] / 1e3), rows[:, 3] / 100


def main():
    table, foreign_table, grid = sys.argv[1:]
    with h5py.File(grid, "r") as file:
        lat, lng = np.meshgrid(file["lat"][:].astype(float), file["lon"][:].astype(float), indexing="ij")
        known = file["distance_to_land"][:].ravel() * 0.2
    lat, lng = lat.ravel(), lng.ravel()
    around = [(s <= lat) & (lat < n) & (w <= lng) & (lng < e) for s, w, n, e in JAPAN]
    asked = np.any(around, axis=0) & (known >= 0) & (known < foreign.AT_SEA_KM)
    lat, lng, known = lat[asked], lng[asked], known[asked]
    points = foreign.vectors(lat, lng)
    abroad = foreign.to_discs(points, *foreign.discs(foreign_table))
    found = np.minimum(abroad, foreign.to_discs(points, *discs(table)))
    gaps = np.flatnonzero(found > known + foreign.ROUNDED_KM)
    print(f"{len(points)} points, {len(gaps)} of them gaps")
    for at in gaps:
        print(f"{lat[at]:.1f},{lng[at]:.1f}: land at {known[at]:.1f} km, tables at {found[at]:.1f} km")
    sys.exit(1 if len(gaps) else 0)


if __name__ == "__main__":
    main()
