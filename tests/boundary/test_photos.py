"""Photos as callers have them: every usual kind becomes upright 8-bit RGB and says how, everything else is refused with
advice."""

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.photo import read_photo, read_photos
from refine.photo.header import upright_size
from tests.people import case
from tests.photo_files import (
    JPEG_BYTES,
    JPEG_ERROR,
    PNG_BYTES,
    STORED,
    UPRIGHT,
    encode,
    png_with_exif,
    save,
    tiff_block,
    with_exif,
)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("orientation", list(STORED))
def test_a_jpeg_is_upright_whatever_its_orientation(tmp_path: Path, orientation: int, order: str) -> None:
    stored = encode(STORED[orientation](UPRIGHT), ".jpg")
    photo = read_photo(save(tmp_path, with_exif(stored, orientation, order)))
    assert photo.size == (24, 40)
    for row, column in ((6, 10), (6, 30), (18, 10), (18, 30)):
        assert np.abs(photo.pixels[row, column].astype(int) - UPRIGHT[row, column]).max() < JPEG_ERROR
    if orientation == 1:
        assert photo.notes == ()
    else:
        assert f"EXIF orientation {orientation} was applied" in photo.notes[0]
        assert ("24 x 40" in photo.notes[0]) == (orientation > 4)
    assert photo.pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", list(STORED))
def test_a_png_is_upright_to_the_bit(tmp_path: Path, orientation: int) -> None:
    stored = encode(STORED[orientation](UPRIGHT), ".png")
    photo = read_photo(save(tmp_path, png_with_exif(stored, orientation), "photo.png"))
    assert np.array_equal(photo.pixels, UPRIGHT)


def test_tags_behind_the_pixels_of_a_png_are_seen_and_cost_no_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PIL.PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    for orientation, store in STORED.items():
        png = encode(store(UPRIGHT), ".png")
        early = png_with_exif(png, orientation)
        late = png[:-12] + early[33 : 33 + len(early) - len(png)] + png[-12:]
        path = save(tmp_path, late, "photo.png")
        assert np.array_equal(read_photo(path).pixels, UPRIGHT) and upright_size(path) == (24, 40)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "JPEG", "PNG"])
@pytest.mark.parametrize("orientation", list(STORED))
def test_every_kind_with_tags_is_upright_and_of_the_size_that_was_announced(
    kind: str, orientation: int, tmp_path: Path
) -> None:
    """TIFF's are turned by the decoder, the others here."""
    stored, path = PIL.Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT))), tmp_path / "photo"
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    stored.save(path, kind, **({"tiffinfo": {0x0112: orientation}} if kind == "TIFF" else {"exif": tags}))
    photo = read_photo(path)
    assert photo.size == (24, 40) == upright_size(path)
    for row, column in ((6, 10), (6, 30), (18, 10), (18, 30)):
        assert np.abs(photo.pixels[row, column].astype(int) - UPRIGHT[row, column]).max() < JPEG_ERROR


def test_a_large_photo_is_read_without_a_word_and_pillows_bound_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, encode(UPRIGHT, ".png"), "photo.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 24 * 40 - 1)  # above it Pillow warns, above twice it raises
    assert read_photo(path).size == (24, 40)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 24 * 20 - 1)
    with pytest.raises(InputError, match=r"960 pixels.*MAX_IMAGE_PIXELS"):
        read_photo(path)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", None)
    assert read_photo(path).size == (24, 40)


def test_pillow_is_asked_for_photos_only(tmp_path: Path) -> None:
    """Pillow reads forty formats, some of which start other programs; a photo's name does not choose among them."""
    with pytest.raises(InputError):
        read_photo(save(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 24\n%%EndComments\n", "photo.jpg"))
    image = PIL.Image.fromarray(UPRIGHT)
    for kind in ("ICNS", "TGA", "PCX", "PDF"):
        image.resize((32, 32)).save(tmp_path / "photo.jpg", kind)
        with pytest.raises(InputError):
            read_photo(tmp_path / "photo.jpg")


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_leaves_the_photo_as_it_is(tmp_path: Path, orientation: int) -> None:
    photo = read_photo(save(tmp_path, with_exif(encode(UPRIGHT, ".jpg"), orientation)))
    assert photo.size == (24, 40) and photo.notes == ()


def test_damaged_exif_does_not_spoil_the_photo(tmp_path: Path) -> None:
    jpeg = encode(UPRIGHT, ".jpg")
    for body in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0??*\0\x08\0\0\0", b"something else"):
        data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
        assert read_photo(save(tmp_path, data)).size == (24, 40)


def test_a_photo_as_it_should_be_is_not_touched(tmp_path: Path) -> None:
    photo = read_photo(UPRIGHT)
    assert photo.pixels is UPRIGHT and photo.notes == () and photo.path is None
    path = save(tmp_path, encode(UPRIGHT, ".png"), "photo.png")
    for where in (path, str(path)):
        stored = read_photo(where)
        assert np.array_equal(stored.pixels, UPRIGHT) and stored.notes == () and stored.path == path


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (JPEG_BYTES[:-2], "breaks off"),
        (JPEG_BYTES[: len(JPEG_BYTES) // 2], "breaks off"),
        (with_exif(JPEG_BYTES, 6)[:60], "breaks off"),
        (JPEG_BYTES[:3], "breaks off"),
        (PNG_BYTES[: len(PNG_BYTES) // 2], "breaks off"),
        (PNG_BYTES[:-12], "breaks off"),
        (b"this is not an image at all", "cannot"),
        (b"\0" * 4000, "cannot"),
    ],
)
def test_a_file_that_is_no_whole_image_is_refused(
    tmp_path: Path, data: bytes, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path, data)
    with pytest.raises(InputError, match=says) as error:
        read_photo(path)
    assert str(path) in str(error.value)
    assert capfd.readouterr().out == ""


def test_a_thumbnail_in_the_tags_does_not_pass_for_the_photo(tmp_path: Path) -> None:
    body = b"Exif\0\0" + tiff_block(6, "<") + JPEG_BYTES  # the thumbnail has an end marker of its own
    data = JPEG_BYTES[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + JPEG_BYTES[2:]
    assert read_photo(save(tmp_path, data)).size == (40, 24)
    with pytest.raises(InputError, match="breaks off"):
        read_photo(save(tmp_path, data[:-40]))


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Check the path"):
        read_photo(tmp_path / "absent.jpg")
    with pytest.raises(InputError, match="a folder"):
        read_photo(tmp_path)
    with pytest.raises(InputError, match="Download it first"):
        read_photo("https://example.org/photo.jpg")


def test_several_photos_keep_their_order_and_their_names(tmp_path: Path) -> None:
    path = save(tmp_path, encode(UPRIGHT[:, :20], ".png"), "left.png")
    two = read_photos([UPRIGHT, path])
    assert [one.size for one in two] == [(24, 40), (24, 20)] and two[1].path == path
    assert [one.size for one in read_photos(path)] == [(24, 20)]
    assert [one.size for one in read_photos(np.stack((UPRIGHT, UPRIGHT)))] == [(24, 40)] * 2
    with pytest.raises(InputError, match=r"image\[1\]: expected"):
        read_photos((UPRIGHT, UPRIGHT.transpose(2, 0, 1)))
    for none in ([], (), np.zeros((0, 24, 40, 3), np.uint8)):
        with pytest.raises(InputError, match="at least one photo"):
            read_photos(none)


def test_a_pil_image_and_a_tensor_give_what_the_array_gives(builtin_body: SkinnedBody) -> None:
    people = case(builtin_body, count=1)
    array = people.photos[0]
    given = (
        array,
        PIL.Image.fromarray(array),
        torch.tensor(array).permute(2, 0, 1),
        torch.tensor(array).permute(2, 0, 1) / 255,
    )
    results = [refine.fit(image, people.estimate, keypoints=people.detections) for image in given]
    for result in results[1:]:
        assert (result.photos[0].pixels == results[0].photos[0].pixels).all()
        assert torch.equal(result.bodies.pose, results[0].bodies.pose)  # the same code on the same inputs
