"""Small networks in each design, and a small labelled set."""

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
