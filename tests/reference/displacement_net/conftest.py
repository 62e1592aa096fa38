"""Small networks in each design, and a small labelled set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from displacement_net.model import DisplacementNet
from refine.body import SkinnedBody
from tests.labelled_set import LabelledSet, labelled_set
from tests.networks import CORRELATING, PLAIN, TEXTURED, random_network


@pytest.fixture(params=[PLAIN, CORRELATING, TEXTURED], ids=["plain", "correlating", "textured"])
def network(request: pytest.FixtureRequest) -> DisplacementNet:
    """A small network in each design with weights that say something."""
    return random_network(request.param)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, builtin_body: SkinnedBody) -> LabelledSet:
    return labelled_set(tmp_path_factory.mktemp("set"), builtin_body)


@pytest.fixture
def changed(files: LabelledSet, tmp_path: Path) -> Callable[..., Path]:
    """Writes the labels again with some arrays changed, or left out where None is given."""

    def write(**arrays: np.ndarray | list[str] | None) -> Path:
        path = tmp_path / "changed.npz"
        with np.load(files.labels) as stored:
            content = {name: stored[name] for name in stored.files} | arrays
        np.savez(path, **{name: value for name, value in content.items() if value is not None})
        return path

    return write
