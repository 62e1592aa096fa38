"""Several photos' dictionaries of ROMP or BEV as one source, and a refined photo's dictionary out of it again.

Source: `romp` and `bev`, which say what the numbers mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from refine.batch import Index
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.formats import bev, romp
from refine.formats._simple_romp import Results
from refine.geometry.camera import Camera


def system_of(content: Results) -> ModuleType | None:
    """Return the module that reads a photo's dictionary, None where neither does."""
    return romp if romp.is_photo(content) else bev if bev.is_photo(content) else None


def joined(
    format: str, path: Path, parts: Sequence[tuple[Source, Camera]], arrays: Mapping[str, object]
) -> tuple[Source, Camera]:
    """Return the people of several photos as one source.

    Args:
        format: Its format.
        path: The file.
        parts: What was read of each photo, at least one.
        arrays: The file's content.

    Raises:
        InputError: Some people have eleven shape coefficients, others ten.
    """
    sources, cameras = [source for source, _ in parts], [camera for _, camera in parts]
    if (
        len({source.betas.shape[1] for source in sources}) > 1
        or len({source.focal_rule.split(",")[-1] for source in sources}) > 1
    ):
        raise InputError(str(path), "photos of one system", "those of ROMP and of BEV", "Split the file.")
    camera = Camera(*(torch.cat([getattr(one, name) for one in cameras]) for name in ("focal", "center", "size")))

    def cat(name: str) -> Tensor | None:
        values = [getattr(source, name) for source in sources]
        return None if any(value is None for value in values) else torch.cat(values)

    names = ("pose", "betas", "expression", "translation", "joints", "vertices", "keypoints_2d")
    whole: dict[str, Any] = {name: cat(name) for name in names}
    return replace(sources[0], format=format, path=path, arrays=arrays, **whole), camera


def photo_of(refined: Estimate, rows: Index, content: Results) -> Results:
    """Return the dictionary of one photo with what was refined in it.

    Args:
        refined: The refined estimate of all photos.
        rows: The photo's people.
        content: The photo's dictionary.
    """
    system = system_of(content)
    assert system is not None
    some = refined.rows(rows)
    own = replace(some, source=replace(some.source, arrays=content, format=system.__name__.rpartition(".")[2]))
    result: Results = system.refined_content(own)
    return result
