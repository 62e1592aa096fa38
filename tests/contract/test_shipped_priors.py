"""The shipped pose priors: small, of stated origin, and learnt again to the same numbers from the recordings."""

import json
import math
import os
from pathlib import Path

import pytest
import torch

from priors.learning.expectation_runs import Settings, learn
from priors.learning.gather import LeftOut, gather
from priors.mixture_pose import GaussianMixturePose
from tests.conftest import ROOT

AGAIN = 1e-4
"""Relative; another version of torch may sum in another order."""


def test_the_shipped_priors_say_where_they_come_from() -> None:
    folder = ROOT / "priors" / "data"
    sizes = 0
    for name in ("pose_mixture", "pose_latent", "motion"):
        data = (folder / f"{name}.safetensors").read_bytes()
        sizes += len(data)
        words = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        assert "mocap.cs.cmu.edu" in words["trained_on"] and "NSF EIA-0196217" in words["trained_on"]
        assert words["licence"] == "Apache-2.0" and json.loads(words["figures"])["recordings"] == 28
        assert words["command"].startswith("python -m priors.learning.")
    assert sizes <= 2 * 2**20
    said = (folder / "README.md").read_text()
    assert "mocap.cs.cmu.edu" in said and "NSF EIA-0196217" in said


@pytest.mark.slow
def test_the_shipped_mixture_is_learnt_again(tmp_path: Path) -> None:
    assets = Path(os.environ.get("REFINE_ASSETS", ROOT.parent / "shared" / "assets"))
    recordings = assets / "motion" / "cmu_poses.npz"
    if not recordings.is_file():
        pytest.skip(f"the recordings are not here: {recordings} (set REFINE_ASSETS to the folder that holds motion/)")
    poses = gather(recordings, tmp_path, per_second=6.0, folds=5, left_out=LeftOut.PERSON)
    learnt = learn(poses, Settings(floor_rad=math.radians(8)), tmp_path / "mixture.pt")
    shipped = GaussianMixturePose.shipped()
    assert torch.allclose(learnt.mixture.mean.float(), shipped.mean.float(), atol=AGAIN)
    assert torch.allclose(learnt.mixture.covariance.float(), shipped.covariance.float(), atol=AGAIN)
    assert learnt.held_out_nats > learnt.one_gaussian_nats
