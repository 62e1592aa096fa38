"""Writes files for other programs: pictures, OBJ, PLY."""
