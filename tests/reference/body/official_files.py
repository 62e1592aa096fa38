"""Generates model files in the official layouts with random but well-formed content: .npz, .pkl as Python 3 and as
Python 2 wrote them.

Nothing here is taken from a licensed file: every number is drawn. Vertex counts, joint trees, keys, types and class
paths are those of the real files, so that the package smplx reads them too.
"""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from refine.body.landmarks_smpl import SMPL_VERTICES, SMPLX_VERTICES

BODY_TREE = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]


def _fingers(first: int) -> list[int]:
    """Five fingers of three joints at each wrist."""
    return [
        (20 if hand == 0 else 21) if n % 3 == 0 else first + 15 * hand + n - 1 for hand in (0, 1) for n in range(15)
    ]


TREES = {
    "smpl": [*BODY_TREE, 20, 21],
    "smplh": BODY_TREE + _fingers(22),
    "smplx": [*BODY_TREE, 15, 15, 15, *_fingers(25)],
}
VERTICES = {"smpl": 6890, "smplh": 6890, "smplx": 10475}
LANDMARKS = {"smpl": SMPL_VERTICES, "smplh": SMPL_VERTICES, "smplx": SMPLX_VERTICES}


def random_model(model: str, shapes: int, seed: int = 0, faces: int = 600) -> dict[str, Any]:
    """The arrays of one official file: `shapes` columns in shapedirs, sparse regressor and skinning weights,
    float64."""
    draw = np.random.default_rng(seed)
    vertices, tree = VERTICES[model], TREES[model]
    joints = len(tree)
    regressor = np.zeros((joints, vertices))
    for joint in range(joints):
        near = draw.choice(vertices, 8, replace=False)
        regressor[joint, near] = draw.dirichlet(np.ones(8))
    weights = np.zeros((vertices, joints))
    influences = np.argsort(draw.random((vertices, joints)), axis=1)[:, :4]
    np.put_along_axis(weights, influences, draw.dirichlet(np.ones(4), vertices), 1)
    corners = draw.integers(0, vertices, (faces, 3))
    corners[: len(LANDMARKS[model]), 1] = list(LANDMARKS[model].values())
    arrays = {
        "v_template": draw.uniform(-0.9, 0.9, (vertices, 3)),
        "shapedirs": 0.02 * draw.standard_normal((vertices, 3, shapes), np.float32).astype(np.float64),
        "posedirs": 0.005 * draw.standard_normal((vertices, 3, 9 * (joints - 1)), np.float32),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, *tree[1:]], range(joints)], np.uint32),
        "f": corners.astype(np.uint32),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }
    if model != "smpl":
        for side in "lr":
            arrays[f"hands_components{side}"] = np.linalg.qr(draw.standard_normal((45, 45)))[0]
            arrays[f"hands_mean{side}"] = 0.3 * draw.standard_normal(45)
    if model == "smplx":
        arrays["lmk_faces_idx"] = draw.integers(0, faces, 51)
        arrays["lmk_bary_coords"] = draw.dirichlet(np.ones(3), 51)
        arrays["dynamic_lmk_faces_idx"] = draw.integers(0, faces, (79, 17))
        arrays["dynamic_lmk_bary_coords"] = draw.dirichlet(np.ones(3), (79, 17))
        arrays["vt"] = draw.random((700, 2))
        arrays["ft"] = draw.integers(0, 700, (faces, 3)).astype(np.uint32)
    return arrays


def write_npz(path: Path, arrays: Mapping[str, Any]) -> Path:
    """As SMPL-X and AMASS ship theirs; `part2num` is a pickled dictionary there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, part2num=np.array({"leftThigh": 1}, dtype=object), **arrays)
    return path


def write_pickle(path: Path, content: object) -> Path:
    """As Python 3 writes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, 4))
    return path


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2's `str`, and the module paths of that time."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012 (the pickler's own way to be extended)

    def save_str2(self, text: "str | bytes") -> None:
        raw = text.encode("latin1") if isinstance(text, str) else text
        if self.proto == 0:
            escaped = raw.decode("latin1").encode("unicode_escape").replace(b"'", b"\\'")
            self.write(b"S'" + escaped + b"'\n")
        else:
            self.write(b"T" + len(raw).to_bytes(4, "little") + raw)
        self.memoize(text)

    def save_global(self, obj: Any, name: "str | None" = None) -> None:
        module = obj.__module__
        for new, old in PYTHON2_MODULES.items():
            module = old + module.removeprefix(new) if module.startswith(new) else module
        self.write(f"c{module}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch[str] = save_str2
    dispatch[bytes] = save_str2


PYTHON2_MODULES = {
    "numpy._core.": "numpy.core.",
    "scipy.sparse._": "scipy.sparse.",
    "builtins": "__builtin__",
    "copyreg": "copy_reg",
}
"""Where Python 2, numpy 1 and scipy before 1.8 had what is elsewhere now."""


def write_python2_pickle(path: Path, content: object, protocol: int = 2) -> Path:
    """As Python 2's cPickle wrote the first SMPL files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol).dump(content)
    path.write_bytes(stream.getvalue())
    return path


def chumpy_object(path: str, **attributes: Any) -> Any:
    """An object that `write_python2_pickle` writes as chumpy's class of that path, with chumpy 0.70's bookkeeping in
    its state."""
    module, _, name = path.rpartition(".")
    made = type(name, (), {"__module__": module})()
    bookkeeping = {"_itr": None, "_make_dense": False, "_make_sparse": False, "_depends_on_deps": {}, "_status": "new"}
    made.__dict__.update(_dirty_vars={"x"}, **bookkeeping, **attributes)
    return made


def ch(array: Any) -> Any:
    """chumpy's plain array."""
    return chumpy_object("chumpy.ch.Ch", x=np.asarray(array, np.float64))


def sparse(matrix: np.ndarray, kind: str = "csc") -> Any:
    """A scipy matrix of a kind ("csc", "csr", "coo")."""
    return getattr(scipy.sparse, f"{kind}_matrix")(matrix)
