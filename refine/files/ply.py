"""Points of a PLY file, with their normals where it has them.

    header, text: format (ascii, binary_little_endian or binary_big_endian), elements and their properties, in order
    data: all elements, as the header says

Faces and other lists behind the vertices are not read.

Source: Turk, The PLY polygon file format, 1994.
"""

from pathlib import Path

import numpy as np

from refine.errors import InputError

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
LONGEST_HEADER = 1 << 16
"""Bytes in which a header must end."""


def read_ply_points(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the vertices of a PLY file.

    Args:
        path: The file.

    Returns:
        Points (N, 3), in the file's unit, and normals (N, 3) or None, float64.

    Raises:
        InputError: It is no PLY file, truncated, or has no vertices with x, y and z.
    """
    data = path.read_bytes()
    end = data[:LONGEST_HEADER].find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise InputError(str(path), "a PLY file", "no header of one")
    start = data.index(b"\n", end) + 1
    lines = [line.split() for line in data[:end].decode("ascii", "replace").splitlines()]
    order, count, kinds = _vertices(path, lines)
    names = [name for name, _ in kinds]
    if order is None:
        rows = data[start:].split(b"\n", count + 1)[:count]
        try:
            table = np.array([row.split()[: len(kinds)] for row in rows], dtype=np.float64)
        except ValueError:
            raise InputError(str(path), f"{count} vertices of {len(kinds)} numbers", "other lines") from None
        columns = {name: table[:, place] for place, name in enumerate(names)} if len(table) == count else {}
    else:
        dtype = np.dtype([(name, order + kind) for name, kind in kinds])
        whole = len(data) >= start + count * dtype.itemsize
        records = np.frombuffer(data, dtype, count, start) if whole else np.zeros(0, dtype)
        columns = {name: records[name].astype(np.float64) for name in names} if whole else {}
    if count and not columns:
        raise InputError(str(path), f"{count} vertices", "fewer", "The file is truncated.")
    points = np.stack([columns[name] for name in ("x", "y", "z")], 1)
    there = all(name in columns for name in ("nx", "ny", "nz"))
    return points, np.stack([columns[name] for name in ("nx", "ny", "nz")], 1) if there else None


def _vertices(path: Path, lines: list[list[str]]) -> tuple[str | None, int, list[tuple[str, str]]]:
    """Return byte order (None: text), number of vertices, and names and types of their properties."""
    order: str | None = None
    element, count, kinds = "", 0, list[tuple[str, str]]()
    for line in lines:
        if line[:1] == ["format"] and len(line) > 1:
            if line[1] != "ascii" and line[1] not in ORDERS:
                raise InputError(str(path), f"format ascii, {' or '.join(ORDERS)}", line[1])
            order = ORDERS.get(line[1])
        elif line[:1] == ["element"] and len(line) > 2:
            if not element and line[1] != "vertex":
                raise InputError(str(path), "vertices before all else", f"{line[1]} first")
            element = line[1]
            if element == "vertex":
                count = int(line[2]) if line[2].isdigit() else -1
        elif line[:1] == ["property"] and element == "vertex":
            if len(line) != 3 or line[1] not in TYPES:
                raise InputError(str(path), "vertices of plain numbers", " ".join(line))
            kinds.append((line[2], TYPES[line[1]]))
    if count < 0 or not {"x", "y", "z"} <= {name for name, _ in kinds}:
        raise InputError(str(path), "vertices with x, y and z", ", ".join(name for name, _ in kinds) or "none")
    return order, count, kinds
