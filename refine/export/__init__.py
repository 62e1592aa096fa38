"""Files other programs open: pictures, OBJ, PLY."""
