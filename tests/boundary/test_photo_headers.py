"""Image files that say how large they are before they are decoded."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from refine.errors import InputError
from refine.photo import read_photo
from refine.photo.header import Header, read_header, upright_size
from tests.folders import png


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm"])
def test_the_size_of_an_image_is_read_from_its_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    cv2.imwrite(str(path), np.zeros((37, 53, 3), np.uint8))
    data = path.read_bytes()
    assert read_header(io.BytesIO(data), "x") == Header((37, 53)) and upright_size(path) == (37, 53)
    for length in range(len(data)):
        assert read_header(io.BytesIO(data[:length]), "x") in (None, Header((37, 53)))


@pytest.mark.parametrize(
    ("width", "height", "says"),
    [
        (100_000, 10, "100000 x 10 px"), (10, 100_000, "10 x 100000 px"), (30_000, 30_000, "900000000 pixels.*MAX_IMAGE_PIXELS"),  # noqa: E501
        (0, 10, "PNG"), (2**31 - 1, 2**31 - 1, "million px"),
    ],
)  # fmt: skip
def test_an_image_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, width: int, height: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    path = tmp_path / "photo.png"
    path.write_bytes(png(width, height))
    for attempt in (lambda: read_photo(path), lambda: upright_size(path)):
        with pytest.raises(InputError, match=says):
            attempt()


def test_files_of_unknown_size_are_not_decoded_in_folders(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"something else entirely")
    with pytest.raises(InputError, match="cannot be read"):
        upright_size(path)
