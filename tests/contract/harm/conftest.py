"""Six people of the "report" set, and medium estimates of them."""

import pytest

from refine.body import SkinnedBody
from refine.evaluate.harm.people import REPORT
from refine.evaluate.harm.scene import Case, Scene, make_scene


@pytest.fixture(scope="package")
def scene(builtin_body: SkinnedBody) -> Scene:
    return make_scene(builtin_body, REPORT, 6)


@pytest.fixture(scope="package")
def medium(scene: Scene) -> Case:
    return scene.case("medium")
