"""Pieces of a result: cut by people, put together with all that was said of them; photos decoded only if looked at."""

import json
import weakref
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import refine
from displacement_net.displacement import Displacement
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.folder import read
from refine.folder.batch import Batcher, joined, solve
from refine.folder.locate import Located, Locator
from refine.folder.manifest import Item
from refine.folder.read import Reader
from refine.folder.settings import Settings
from refine.geometry import rotation
from refine.photo import Undecoded, open_photo
from refine.render.view import View
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import HEIGHT, WIDTH, Folder, make_folder, run_over, runner, smplx_translation
from tests.people import case

COUNT = 7
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))


class Silent:
    """A displacer that looks and says nothing."""

    name = "silent"

    def displace(self, view: View) -> Displacement:
        shape = view.fragments.triangle.shape
        assert view.pixels().shape[1:3] == shape[1:]
        return Displacement(torch.zeros(*shape, 2), torch.zeros(*shape, 2, 2))


@pytest.fixture
def crowd(builtin_body: SkinnedBody, tmp_path: Path) -> Settings:
    """Seven people in one photo, whose keypoints stand in another order than the people."""
    people = case(builtin_body, COUNT, angle=0.15)
    for name in ("results", "images", "keypoints"):
        (tmp_path / name).mkdir()
    turns = rotation.log(people.estimate.bodies.pose).numpy()
    np.savez(
        tmp_path / "results" / "crowd.npz", global_orient=turns[:, 0], body_pose=turns[:, 1:22].reshape(COUNT, 63),
        transl=smplx_translation(people.estimate), focal=np.full((COUNT, 2), 480.0),
        size=np.array([[HEIGHT, WIDTH]] * COUNT),
    )  # fmt: skip
    cv2.imwrite(str(tmp_path / "images" / "crowd.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    points = torch.cat((people.detections.pixel - 0.5, torch.ones(COUNT, 25, 1)), -1).flatten(1).flip(0).tolist()
    written = {"people": [{"pose_keypoints_2d": row} for row in points]}
    (tmp_path / "keypoints" / "crowd_keypoints.json").write_text(json.dumps(written))
    return Settings(tmp_path / "results", tmp_path / "images", tmp_path / "keypoints").settled()


def refined(settings: Settings) -> tuple[int, torch.Tensor, refine.result.Result]:
    """Read, refine and put together the crowd; how many pieces it came in, its rows and their result."""
    reader = Reader(settings, looked_at=False)
    pieces = list(reader.pieces(Item("crowd.npz")))
    assert {piece.pieces for piece in pieces} == {len(pieces)}
    solved = [one for piece in pieces for one in solve([piece], QUICK, reader.shelf, "cpu", sigmas=True)]
    return len(pieces), *joined(solved)


def test_a_result_is_cut_by_people_and_all_that_was_said_of_them_survives(
    crowd: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = Locator(crowd).locate("crowd.npz").estimate
    draw = torch.Generator().manual_seed(0)
    source = replace(
        estimate.source, persons=tuple(f"track {row}" for row in range(COUNT)),
        sigma_rad=torch.rand(COUNT, 55, generator=draw),
        evidence={"depth": torch.rand(COUNT, 4, 5, generator=draw)},
    )  # fmt: skip
    told = Located(replace(estimate, source=source), Locator(crowd).locate("crowd.npz").photos)
    monkeypatch.setattr(Locator, "locate", lambda *_: told)
    count, rows, whole = refined(crowd)
    assert count == 1 and rows.tolist() == list(range(COUNT))
    monkeypatch.setattr(read, "MOST_BODIES", 3)
    count, rows, cut = refined(crowd)
    assert count == 3 and rows.tolist() == list(range(COUNT)) and len(cut) == COUNT
    assert cut.source.persons == source.persons
    assert cut.source.sigma_rad is not None and torch.equal(cut.source.sigma_rad, source.sigma_rad)
    assert torch.equal(cut.source.evidence["depth"], source.evidence["depth"])
    assert cut.detections is not None and whole.detections is not None
    assert torch.equal(cut.detections.pixel, whole.detections.pixel)  # matched as one photo, whatever is cut
    assert bool((cut.detections.confidence > 0).any(1).all())
    assert bool(cut.sigma_mm.isfinite().all()) and torch.allclose(cut.sigma_mm, whole.sigma_mm, rtol=0.02, atol=0.5)
    assert torch.allclose(cut.bodies.pose, whole.bodies.pose, atol=1e-3) and len(cut.judgement) == COUNT
    assert cut.notes == whole.notes


def test_people_are_refined_beside_others_of_their_form_alone(crowd: Settings) -> None:
    """Estimates some of which state their own errors, or stand in a world, are no batch; the others are one."""
    reader = Reader(crowd, looked_at=False)
    (piece,) = reader.pieces(Item("crowd.npz"))
    sure = replace(piece.prepared.estimate.source, sigma_rad=torch.full((COUNT, 55), 0.1))
    other = replace(piece, prepared=replace(piece.prepared, estimate=replace(piece.prepared.estimate, source=sure)))
    blind = replace(piece, prepared=replace(piece.prepared, detections=None))
    batcher = Batcher()
    assert [batcher.add(one) for one in (piece, other, piece, blind)] == [[]] * 4
    assert [len(one) for one in batcher.rest()] == [2, 1, 1]


def test_keypoints_alone_decode_no_photo(
    builtin_body: SkinnedBody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = make_folder(builtin_body, tmp_path / "people", 2)

    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    assert runner(tmp_path, refiner=QUICK)(people).counts == {"refined": 2}


@pytest.mark.parametrize("looks", [False, True])
def test_a_photo_whose_pixels_are_damaged_matters_where_it_is_looked_at(
    builtin_body: SkinnedBody, tmp_path: Path, looks: bool
) -> None:
    people = make_folder(builtin_body, tmp_path / "people", 2)
    damaged(people)
    refiner = replace(QUICK, displacer=Silent(), rounds=1, crop_px=32) if looks else QUICK
    summary = run_over(
        people.results, people.images, tmp_path / "out", keypoints=people.keypoints, refiner=refiner, jobs=1
    )
    assert summary.counts["failed"] == looks and summary.counts["refined"] == 2 - looks
    if looks:
        assert "OpenCV" in summary.failed[0].reason and people.names[0] in summary.failed[0].result


def damaged(people: Folder) -> None:
    """Make a photo of one that has a header and an end, and nothing that can be decoded between."""
    path = people.images / f"{people.names[0]}.jpg"
    whole = cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    start = whole.index(b"IDAT") + 4
    path.unlink()
    path.with_suffix(".png").write_bytes(whole[:start] + bytes(len(whole) - 16 - start) + whole[-16:])


def test_pieces_hold_no_photo_but_their_own(
    builtin_body: SkinnedBody, crowd: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece lets go of its pixels when it is refined, and nothing else keeps them."""
    monkeypatch.setattr(read, "MOST_BODIES", 3)
    reader = Reader(crowd, looked_at=True)
    alive: list[weakref.ref[np.ndarray]] = []
    for piece in reader.pieces(Item("crowd.npz")):
        alive += [weakref.ref(photo.pixels) for photo in piece.prepared.photos]
        (one,) = solve([piece], QUICK, reader.shelf, "cpu")
        del piece
        assert one.result is not None and not one.piece.prepared.photos
        assert [pixels for pixels in alive if pixels() is not None] == []


def test_an_opened_photo_is_the_photo_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.arange(4 * 6, dtype=np.uint16).reshape(4, 6) * 2000)
    opened, whole = open_photo(path), refine.photo.read_photo(path, "photo")
    assert isinstance(opened.content, Undecoded) and opened.size == whole.size and opened.notes == ()
    assert np.array_equal(opened.pixels, whole.pixels) and opened.decoded().notes == whole.notes != ()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="breaks off"):
        _ = open_photo(path).pixels
