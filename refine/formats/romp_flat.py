"""ROMP's or BEV's dictionary of one photo saved again with its names at the top: `np.savez(path, **results)`.

The same numbers as in `results` (`romp`, `bev`): `joints` and `verts` are relative to the body's own origin, the place
is in `cam` and `cam_trans`. Whoever takes these joints for the camera's puts every pelvis into the lens.

Source: apple/ml-neuman issue 77 (who saves it so); the numbers as in `romp` and `bev`.
"""

from pathlib import Path
from types import ModuleType

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.files.npz import member_names, read_arrays, write_arrays
from refine.formats import Sizes, bev, romp
from refine.formats._own_source import own_source
from refine.formats._romp_photos import joined, photo_of
from refine.geometry.camera import Camera
from refine.transfer import to_body, with_camera


def recognises(path: Path) -> bool:
    """Say whether a file is an npz with all names of ROMP's or BEV's dictionary."""
    return _system(path) is not None


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the people of one photo.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path, system = Path(path), _system(path)
    if system is None:
        raise InputError(str(path), "an npz file with the names of ROMP's or BEV's results", "others")
    content = read_arrays(path)
    source, own = joined("romp_flat", path, [system.source_of(path, content)], {"content": content})
    estimate = to_body(source, own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back under the same names, as `romp` and `bev` refine them.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "romp_flat", "ROMP or BEV, its names at the top")
    content = dict(source.arrays["content"])  # type: ignore[call-overload]
    write_arrays(Path(path), photo_of(refined, slice(None), content))


def _system(path: Path) -> ModuleType | None:
    """Return the system whose names an npz has, None where it has neither's."""
    names = set(member_names(path))
    if {*romp.SHAPES, "global_orient", "body_pose"} <= names:
        return romp
    return bev if set(bev.SHAPES) <= names and "global_orient" not in names else None
