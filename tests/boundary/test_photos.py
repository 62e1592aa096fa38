"""Photos as callers have them: every usual kind becomes upright 8-bit RGB and says how, everything else is refused with advice."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import jaxtyping
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

UPRIGHT = np.zeros((24, 40, 3), np.uint8)
UPRIGHT[:12, :20], UPRIGHT[:12, 20:], UPRIGHT[12:, :20], UPRIGHT[12:, 20:] = (
    (230, 20, 20),
    (20, 230, 20),
    (20, 20, 230),
    (240, 240, 240),
)
"""Red, green, blue and white quarters: no two of the eight orientations look the same."""

JPEG_ERROR = 25
"""What JPEG may change in the middle of a quarter."""

STORED = {
    1: lambda photo: photo,
    2: lambda photo: np.fliplr(photo),
    3: lambda photo: np.rot90(photo, 2),
    4: lambda photo: np.flipud(photo),
    5: lambda photo: photo.transpose(1, 0, 2),
    6: lambda photo: np.rot90(photo, 1),
    7: lambda photo: np.rot90(photo, 2).transpose(1, 0, 2),
    8: lambda photo: np.rot90(photo, -1),
}
"""How a camera that writes the orientation stores the upright photo (6: to be turned clockwise, so stored counter-clockwise)."""


def encode(pixels: np.ndarray, kind: str) -> bytes:
    """An RGB(A) or gray array as the bytes of a file."""
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    done, data = cv2.imencode(kind, np.ascontiguousarray(pixels))
    assert done
    return bytes(data)


JPEG_BYTES, PNG_BYTES = encode(UPRIGHT, ".jpg"), encode(UPRIGHT, ".png")


def tiff_block(orientation: int, order: str) -> bytes:
    """The Exif tags of a file: a maker's name and the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    maker = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"abc\0")
    turn = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(f"{order}H", 2) + maker + turn + struct.pack(f"{order}I", 0)


def with_exif(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    """The JPEG with an APP1 segment behind its first marker."""
    body = b"Exif\0\0" + tiff_block(orientation, order)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_with_exif(png: bytes, orientation: int) -> bytes:
    """The PNG with an eXIf chunk behind its header."""
    body = tiff_block(orientation, ">")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    return png[:33] + chunk + png[33:]


def save(folder: Path, data: bytes, name: str = "photo.jpg") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(data)
    return path


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


def test_gray_becomes_rgb_and_says_so(tmp_path: Path) -> None:
    gray = UPRIGHT[..., 1]
    path = save(tmp_path, encode(gray, ".png"), "gray.png")
    for one in (gray, gray[..., None], path):
        photo = read_photo(one)
        assert np.array_equal(photo.pixels, np.repeat(gray[..., None], 3, 2))
        assert "gray became RGB" in photo.notes[0]


def test_sixteen_bit_is_scaled_over_its_full_range_and_says_so(tmp_path: Path) -> None:
    deep = UPRIGHT.astype(np.uint16) * 257
    path = save(tmp_path, encode(deep, ".png"), "deep.png")
    for one in (deep, path):
        photo = read_photo(one)
        assert np.array_equal(photo.pixels, UPRIGHT)
        assert "16 bit" in photo.notes[0]
    assert len(read_photo(save(tmp_path, encode(deep[..., 0], ".png"), "deep gray.png")).notes) == 2


def test_transparent_parts_are_laid_over_white_and_opaque_alpha_is_dropped(tmp_path: Path) -> None:
    clear = np.dstack((UPRIGHT, np.full((24, 40), 255, np.uint8)))
    clear[:12, :, 3] = 0
    for one in (clear, save(tmp_path, encode(clear, ".png"), "clear.png")):
        photo = read_photo(one)
        assert (photo.pixels[:12] == 255).all() and np.array_equal(photo.pixels[12:], UPRIGHT[12:])
        assert "over white" in photo.notes[0]
    clear[..., 3] = 255
    opaque = read_photo(clear)
    assert np.array_equal(opaque.pixels, UPRIGHT) and "dropped" in opaque.notes[0]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_floats_from_zero_to_one_are_scaled_and_say_so(kind: type) -> None:
    photo = read_photo((UPRIGHT / 255).astype(kind))
    assert np.abs(photo.pixels.astype(int) - UPRIGHT).max() <= (1 if kind is np.float16 else 0)
    assert "0..1" in photo.notes[0]


def test_whole_numbers_and_masks_become_bytes() -> None:
    assert np.array_equal(read_photo(UPRIGHT.astype(np.int64)).pixels, UPRIGHT)
    assert read_photo(UPRIGHT > 100).pixels.max() == 255


def test_a_reversed_view_becomes_an_array_that_torch_takes() -> None:
    assert torch.from_numpy(read_photo(UPRIGHT[..., ::-1]).pixels).shape == (24, 40, 3)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((0, 40, 3), np.uint8), "empty image"),
        (np.zeros((24, 40, 0), np.uint8), "empty image"),
        (np.zeros(2880, np.uint8), "Decode the file's bytes"),
        (np.zeros((3, 24, 40), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((24, 40, 7), np.uint8), "RGB, RGBA or gray"),
        (np.zeros((2, 24, 40, 3), np.uint8), "list of arrays"),
        (np.full((24, 40, 3), np.nan, np.float32), "NaN"),
        (UPRIGHT.astype(np.float32), "0..255 as uint8"),
        ((UPRIGHT / 255 - 0.5) / 0.25, "normalisation"),
        (UPRIGHT.astype(np.int32) - 128, "Scale them"),
        (UPRIGHT.astype(np.int32) * 300, "Scale them"),
        (np.full((24, 40, 3), "x"), "dtype"),
        (np.zeros((24, 40, 3), complex), "dtype"),
    ],
)
def test_an_array_that_is_no_photo_is_refused_with_advice(array: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        read_photo(array, "portrait")
    assert str(error.value).startswith("portrait: expected")


def test_what_is_no_photo_is_told_what_is_and_what_is_encoded_how_to_decode_it() -> None:
    jaxtyping.config.update("jaxtyping_disable", True)  # as users have it: without the tests' checks of signatures
    try:
        for other in (None, 5, {"image": UPRIGHT}):
            with pytest.raises(InputError, match=r"a path, an array"):
                read_photo(other)  # type: ignore[arg-type]
        for other in (PNG_BYTES, bytearray(PNG_BYTES), io.BytesIO(PNG_BYTES)):
            with pytest.raises(InputError, match=r"decode it: PIL\.Image\.open.*or write it to a file") as error:
                read_photo(other)  # type: ignore[arg-type]
            assert "permute" not in str(error.value)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "RGBX", "La", "RGBa"]
)
def test_pil_images_of_every_mode_are_read(mode: str) -> None:
    if mode in ("I", "I;16"):
        image = PIL.Image.fromarray(UPRIGHT[..., 0].astype(np.uint16 if mode == "I;16" else np.int32))
    elif mode == "PA":
        image = PIL.Image.fromarray(UPRIGHT).convert("P").convert("PA")
    elif mode in ("La", "RGBa"):
        image = PIL.Image.fromarray(UPRIGHT).convert("LA" if mode == "La" else "RGBA").convert(mode)
    elif mode == "LAB":
        image = PIL.Image.new("LAB", (40, 24))
    else:
        image = PIL.Image.fromarray(UPRIGHT).convert(mode)
    photo = read_photo(image)
    assert photo.pixels.shape == (24, 40, 3) and photo.pixels.dtype == np.uint8
    if mode in ("RGB", "RGBA"):
        assert (photo.pixels == UPRIGHT).all()


def test_a_palette_with_a_transparent_colour_lies_over_white() -> None:
    image = PIL.Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30] * 256)
    image.info["transparency"] = 0
    assert (read_photo(image).pixels == 255).all()


def test_a_pil_image_with_a_turn_is_taken_as_it_is_and_says_so() -> None:
    tags = PIL.Image.Exif()
    tags[0x0112] = 6
    memory = io.BytesIO()
    PIL.Image.fromarray(UPRIGHT).save(memory, "PNG", exif=tags)
    photo = read_photo(PIL.Image.open(memory))
    assert (photo.pixels == UPRIGHT).all() and photo.orientation == 1
    assert "exif_transpose" in photo.notes[0]


def test_a_truncated_pil_image_is_refused() -> None:
    image = PIL.Image.open(io.BytesIO(PNG_BYTES[: len(PNG_BYTES) // 2]))
    with pytest.raises(InputError, match="can be decoded"):
        read_photo(image)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors_are_read_with_channels_first_or_last(kind: torch.dtype) -> None:
    values = torch.tensor(UPRIGHT.copy())
    tensor = values if kind == torch.uint8 else (values.double() / 255).to(kind)
    near = 0 if kind in (torch.uint8, torch.float32, torch.float64) else 1  # 8 bits of mantissa resolve a level
    for image in (tensor.permute(2, 0, 1), tensor):
        pixels = read_photo(image).pixels
        assert np.abs(pixels.astype(int) - UPRIGHT).max() <= near
    batch = torch.stack([tensor.permute(2, 0, 1)] * 2)
    assert [photo.size for photo in read_photos(batch)] == [(24, 40)] * 2


def test_a_tensor_with_a_gradient_is_read_and_one_that_may_be_either_way_round_is_refused() -> None:
    image = torch.rand(3, 24, 40, requires_grad=True)
    assert read_photo(image).size == (24, 40)
    with pytest.raises(InputError, match="which is both"):
        read_photo(torch.zeros(3, 24, 3))
    with pytest.raises(InputError, match="normalisation"):
        read_photo(image.detach() * 4 - 2)


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
