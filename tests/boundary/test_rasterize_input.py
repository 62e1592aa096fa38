"""Choosing a rasteriser, and scenes that do not fit together."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from refine.errors import InputError, MissingExtra
from refine.render.plain import PlainRasterizer
from refine.render.rasterize import by_name, default_rasterizer, names, rasterize
from refine.render.warp import WarpRasterizer
from tests.meshes import QUAD, camera_of


def test_the_default_is_warp_and_names_are_those_of_the_files():
    assert isinstance(default_rasterizer(), WarpRasterizer)
    assert {"plain", "warp", "pytorch3d"} <= set(names())
    with pytest.raises(InputError, match="plain"):
        by_name("no such thing")


def test_a_missing_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer.mesh.rasterize_meshes", None)
    with pytest.raises(MissingExtra, match=r"pip install .*pytorch3d"):
        by_name("pytorch3d")


def test_warp_refuses_a_device_it_does_not_know():
    with pytest.raises(InputError, match="PlainRasterizer"):
        WarpRasterizer().triangles(torch.zeros(1, 4, 3, device="meta"), QUAD, camera_of(4, 4), 4, 4)


@pytest.mark.slow
def test_standard_output_and_error_stay_the_callers():
    program = (
        "import sys, torch; from refine.geometry.camera import Camera; from refine.render.rasterize import default_rasterizer;"  # noqa: E501
        "assert 'warp' not in sys.modules; size = torch.ones(1, 2);"
        "default_rasterizer().triangles(torch.ones(1, 3, 3), torch.tensor([[0, 1, 2]]), Camera(size, size, size), 4, 4);"  # noqa: E501
        "assert 'warp' in sys.modules"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "" and done.stderr == ""


def test_scenes_that_do_not_fit_together_are_refused():
    vertices, camera = torch.rand(2, 4, 3), camera_of(4, 4, count=2)
    with pytest.raises(InputError, match="faces"):
        rasterize(PlainRasterizer(), vertices, QUAD + 1, camera, 4, 4)
    with pytest.raises(InputError, match=r"camera\.focal"):
        rasterize(PlainRasterizer(), vertices, QUAD, camera[torch.tensor([0])], 4, 4)
    with pytest.raises(InputError, match="height, width"):
        rasterize(PlainRasterizer(), vertices, QUAD, camera, 4, -1)
