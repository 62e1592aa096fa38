"""SAM 3D Body's list of people as `process_one_image` returns it, saved whole (torch, pickle or numpy file).

Everybody of the list is what `sam3dbody` reads of one person's npz: the same names, camera and traps.

Source: facebookresearch/sam-3d-body@b5c765a0d8, `sam_3d_body/sam_3d_body_estimator.py` (process_one_image);
`sam3dbody`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import kind
from refine.formats import Sizes, sam3dbody
from refine.formats._own_source import own_source
from refine.formats._parameter_file import file_content, write_content
from refine.formats._people_list import holds_people, like, people_of
from refine.geometry.camera import Camera
from refine.transfer import to_body, with_camera

KEYS = frozenset({*sam3dbody.SHAPES, "pred_vertices"})

ADVICE = "Save the list process_one_image returns, with torch.save, pickle or numpy."


def recognises(path: Path) -> bool:
    """Say whether a file is a list of dictionaries with SAM 3D Body's vertices, keypoints and translation."""
    return holds_people(path, KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the people of one photo.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    content = file_content(path)
    people = people_of(content, KEYS)
    if not people:
        raise InputError(
            str(path), f"a list of dictionaries with {', '.join(sorted(KEYS))}", type(content).__name__, ADVICE
        )
    parts = [sam3dbody.source_of(path, person, sizes) for person in people]
    source = _joined([source for source, _, _ in parts], path, {"content": content, "kind": kind(path)})
    own = Camera(*(torch.cat([getattr(one, name) for _, one, _ in parts]) for name in ("focal", "center", "size")))
    estimate = to_body(source, own, body)
    done = [one for _, _, one in parts]
    notes = dict.fromkeys(note for one in done for note in one.notes)
    lost = torch.cat([one.distance_m for one in done]).cpu() if estimate.body.name == done[0].body.name else None
    estimate = replace(estimate, notes=(*estimate.notes, *notes), distance_m=lost)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as the same list, each person as `sam3dbody` refines one.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "sam3dbody_people", "SAM 3D Body")
    content: Any = source.arrays["content"]
    rows = []
    for row, person in enumerate(people_of(content, KEYS)):
        some = refined.rows([row])
        alone = replace(some, source=replace(some.source, arrays=person, format="sam3dbody"))
        rows.append(sam3dbody.refined_content(alone))
    write_content(Path(path), str(source.arrays["kind"]), like(content, rows))


def _joined(sources: list[Source], path: Path, arrays: dict[str, object]) -> Source:
    """Return several people as one source."""

    def cat(name: str) -> Tensor:
        return torch.cat([getattr(source, name) for source in sources])

    names = ("pose", "betas", "expression", "translation", "joints", "vertices", "keypoints_2d")
    whole: dict[str, Any] = {name: cat(name) for name in names}
    scale = torch.cat([source.evidence["scale"] for source in sources])
    return replace(sources[0], format="sam3dbody_people", path=path, arrays=arrays, evidence={"scale": scale}, **whole)
