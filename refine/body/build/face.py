"""Positions of the 68 face points of iBUG, the pupils and the ears, in mm from the midpoint of the eyes.

Picked on renders of the reference body (`anny_source.reference_phenotype`), left half and middle; the right half
mirrors it. A point lies on the outermost skin seen from the front (x left, y up) or from the person's left side (z
front, y up).

Source: Sagonas et al., 300 Faces in-the-Wild Challenge, ICCV-W 2013 (order and meaning of the 68 points).
"""

FRONT: dict[int, tuple[float, float]] = {
    8: (0.0, -105.0),
    9: (17.0, -103.0),
    10: (34.0, -97.0),
    22: (12.0, 14.5), 23: (22.0, 20.0), 24: (33.0, 21.5), 25: (44.0, 19.0), 26: (53.0, 12.5),
    27: (0.0, 0.0), 28: (0.0, -12.0), 29: (0.0, -24.0), 30: (0.0, -36.0),
    33: (0.0, -48.5), 34: (7.0, -47.5), 35: (14.0, -46.0),
    42: (16.5, -3.3), 43: (23.0, 2.5), 44: (35.0, 3.0), 45: (42.0, -1.5), 46: (34.5, -6.2), 47: (24.0, -5.8),
    51: (0.0, -61.0), 52: (6.0, -60.0), 53: (14.5, -64.5), 54: (23.0, -69.5),
    55: (16.5, -76.5), 56: (8.0, -80.0), 57: (0.0, -80.5),
    62: (0.0, -68.0), 63: (9.0, -68.3), 64: (20.0, -69.5), 65: (9.0, -71.2), 66: (0.0, -71.2),
}  # fmt: skip
"""Point: (x, y) mm."""

SIDE: dict[int, tuple[float, float]] = {
    11: (-35.0, -88.0), 12: (-48.0, -76.0), 13: (-51.0, -59.0), 14: (-52.0, -41.0), 15: (-51.0, -22.0),
    16: (-51.0, -3.0),
}  # fmt: skip
"""Point: (z, y) mm."""

EAR = (-68.0, -18.0)
"""(z, y) mm: the tragus, where COCO's annotators put the ear."""

MIRROR = {
    **{n: 16 - n for n in range(8)},
    **{n: 43 - n for n in range(17, 22)},
    31: 35, 32: 34,
    36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46,
    48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65,
}  # fmt: skip
"""Right-hand point: its mirror on the left."""
