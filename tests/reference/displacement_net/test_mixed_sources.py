"""Several sources as one, and a user's photos as backgrounds."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from displacement_net.training.backgrounds import read_backgrounds
from displacement_net.training.batches import batch_of
from displacement_net.training.mixed import Mixed, mixed
from displacement_net.training.shown import Crops, SampleSource, Shown
from refine.errors import InputError


@dataclass(frozen=True)
class Plain:
    """Pictures of one value that says the source, and in its depth the seed."""

    value: float
    side: int = 16
    knows_person: bool = True

    def batch(self, seed: int, count: int) -> Crops:
        """Return samples."""
        side = self.side
        whole = torch.full((count, 3, side, side), self.value)
        depth = torch.full((count, 1, side, side), float(seed))
        mask = torch.ones(count, side, side, dtype=torch.bool)
        person = torch.full((count, 4, side, side), self.value) if self.knows_person else None
        return Crops(whole, whole, depth, whole, whole, depth, torch.zeros(count, side, side, 2), mask, mask, person)


def test_each_batch_holds_each_sources_share() -> None:
    source = mixed((Plain(0.25), Plain(0.75)), (0.5, 0.5))
    assert isinstance(source, SampleSource)
    samples = source.batch(3, 8)
    assert isinstance(samples, Shown)
    assert samples.image[:, 0, 0, 0].tolist() == [0.25] * 4 + [0.75] * 4
    assert samples.depth.unique().tolist() == [3.0]
    assert batch_of(samples).channels.shape == (8, 15, 16, 16)


@pytest.mark.parametrize("shares", [(0.3, 0.7), (0.1, 0.2, 0.7), (1 / 3, 1 / 3, 1 / 3), (0.01, 0.99)])
def test_shares_are_met_on_average_and_nearly_in_every_batch(shares: tuple[float, ...]) -> None:
    source = Mixed(tuple(Plain(0.0) for _ in shares), shares)
    counts = np.array([source.counts(seed, 5) for seed in range(3000)])
    assert (counts.sum(1) == 5).all()
    assert (np.abs(counts - 5 * np.array(shares)) < 2).all()
    np.testing.assert_allclose(counts.mean(0) / 5, shares, atol=0.01)


def test_a_mixture_is_the_same_for_the_same_seed() -> None:
    source = mixed((Plain(0.0), Plain(1.0)), (0.35, 0.65))
    assert torch.equal(source.batch(7, 3).image, source.batch(7, 3).image)


def test_what_one_source_does_not_know_of_the_photo_the_mixture_does_not() -> None:
    known, unknown = Plain(0.25), Plain(0.75, knows_person=False)
    assert mixed((known, unknown), (0.5, 0.5)).batch(0, 4).person is None
    person = mixed((known, Plain(0.75)), (0.5, 0.5)).batch(0, 4).person
    assert person is not None
    assert person[:, 0, 0, 0].tolist() == [0.25] * 2 + [0.75] * 2


def test_a_source_that_gets_everything_stands_alone() -> None:
    whole = Plain(0.0)
    assert mixed((whole, Plain(1.0)), (1.0, 0.0)) is whole
    assert mixed((whole,), (1.0,)) is whole


@pytest.mark.parametrize("shares", [(0.5,), (0.5, 0.6), (-0.5, 1.5), (float("nan"), 1.0), (0.0, 0.0), ()])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="shares"):
        mixed((Plain(0.0), Plain(1.0)), shares)


def test_sources_of_different_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="16 and 32 px"):
        mixed((Plain(0.0), Plain(1.0, 32)), (0.5, 0.5)).batch(0, 4)


def write(path: Path, pixels: np.ndarray, orientation: int = 1) -> None:
    """Write an RGB array as JPEG with an Exif orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), (cv2.IMWRITE_JPEG_QUALITY, 95))[1].tobytes()
    tiff = b"II*\0" + (8).to_bytes(4, "little") + (1).to_bytes(2, "little")
    tiff += b"\x12\x01\x03\0" + (1).to_bytes(4, "little") + orientation.to_bytes(4, "little") + bytes(4)
    block = b"Exif\0\0" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:])


def halves(height: int, width: int) -> np.ndarray:
    """Red above blue."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, :, 0] = picture[height // 2 :, :, 2] = 220
    return picture


def test_photos_of_any_size_become_squares_with_colours_in_order(tmp_path: Path) -> None:
    for number, shape in enumerate(((60, 200), (300, 100), (12, 10))):
        write(tmp_path / f"{number}" / "a.JPG", halves(*shape))
    photos = read_backgrounds(tmp_path, 32)
    assert [photo.shape for photo in photos] == [(64, 64, 3)] * 3
    for photo in photos:
        assert photo.dtype == np.uint8
        assert np.abs(photo[4, 32].astype(int) - (220, 0, 0)).max() < 30
        assert np.abs(photo[-4, 32].astype(int) - (0, 0, 220)).max() < 30


def test_the_square_is_the_middle_and_not_squeezed(tmp_path: Path) -> None:
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 200
    cv2.circle(picture, (150, 50), 30, (0, 0, 0), -1)
    write(tmp_path / "wide.jpg", picture)
    (photo,) = read_backgrounds(tmp_path, 50)
    dark = photo.max(-1) < 100
    assert dark[:, 50].sum() == pytest.approx(dark[50].sum(), abs=3)
    assert photo[50, 2].min() > 150 and photo[50, -3].min() > 150


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    write(tmp_path / "turned.jpg", np.rot90(halves(80, 80), 1), orientation=6)
    (photo,) = read_backgrounds(tmp_path, 16)
    assert photo[2, 16, 0] > 150 and photo[-3, 16, 2] > 150


def test_broken_files_are_listed_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "good.jpg", halves(40, 40))
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:400])
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").write_text("no photo")
    assert len(read_backgrounds(tmp_path, 16)) == 1
    assert "cut.jpg" in caplog.text and "empty.png" in caplog.text and "notes" not in caplog.text


def test_of_many_photos_some_are_drawn_and_broken_ones_do_not_count(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"{number:02}.jpg", np.full((20, 20, 3), 20 * number, np.uint8))
    (tmp_path / "broken.jpg").touch()

    def kept(seed: int) -> list[int]:
        return [round(photo.mean() / 20) for photo in read_backgrounds(tmp_path, 8, most=5, seed=seed)]

    assert len(set(kept(0))) == 5
    assert kept(0) == kept(0)
    assert kept(0) != kept(1)
    assert len(read_backgrounds(tmp_path, 8)) == 12


def test_folders_without_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="backgrounds"):
        read_backgrounds(tmp_path / "none", 32)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="none in"):
        read_backgrounds(tmp_path, 32)
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="1 that cannot"):
        read_backgrounds(tmp_path, 32)
