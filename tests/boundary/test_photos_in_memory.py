"""Photos as programs hold them: grey, sixteen bits, transparent, floats, PIL images, tensors."""

import io
from pathlib import Path

import jaxtyping
import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
import torch

from refine.errors import InputError
from refine.photo import read_photo, read_photos
from tests.photo_files import PNG_BYTES, UPRIGHT, encode, save


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
