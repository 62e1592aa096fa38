"""Evidence in space in the harm benchmark: it helps, it is each body's own, and somebody else's is refused."""

import pytest
import torch

from refine.evaluate.harm.evidence import BESIDE, Evidence
from refine.evaluate.harm.people import REPORT
from refine.evaluate.harm.point_sources import POINT_SOURCES
from refine.evaluate.harm.run import OURS, POINT_CELLS, cells_like, drawn_scenes, rows
from refine.evaluate.harm.table import Cell

PEOPLE = 6


@pytest.mark.parametrize("source", ["lifted", "depths", "trackers"])
def test_alone_it_halves_a_medium_estimates_error_and_another_persons_is_refused(source: str) -> None:
    scenes = drawn_scenes(REPORT)
    clean, other = rows([Cell("medium", kind, source) for kind in ("clean", "other")], (OURS,), scenes, PEOPLE, PEOPLE)
    assert clean.after["pve"] < 0.65 * clean.before["pve"] and clean.worse.value < 20
    assert other.rolled_back.value > 80


def test_a_cloud_is_drawn_of_each_body_whatever_the_batch() -> None:
    whole = drawn_scenes(REPORT)(4, 4)[0]
    halves = drawn_scenes(REPORT)(4, 2)
    for name, source in POINT_SOURCES.items():
        (together,) = source(Evidence(whole, "clean", name), whole.case("medium").estimate)
        apart = [source(Evidence(half, "clean", name), half.case("medium").estimate)[0] for half in halves]
        field = next(each for each in ("target", "yaw", "position") if hasattr(together, each))
        first = torch.cat([getattr(each, field).reshape(2, -1)[:, :1] for each in apart])
        assert torch.allclose(getattr(together, field).reshape(4, -1)[:, :1], first, atol=1e-2), name


def test_every_source_has_a_cell_alone_and_beside_keypoints() -> None:
    names = {cell.name for cell in POINT_CELLS}
    assert all(f"medium.clean.{source}{ending}" in names for source in POINT_SOURCES for ending in ("", BESIDE))
    assert len(cells_like(["medium.other.*"], POINT_CELLS)) == 2 * len(POINT_SOURCES)
