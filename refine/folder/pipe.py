"""One photo through a pipe: npz in, npz out, for regressors that live in an environment of their own.

in     SMPL(-X) parameters by their names (`refine/formats/parameters.py`), a camera (focal, size), and `image`
       (H, W, 3) uint8 RGB or `image_path`; optional `keypoints` (B, K, 3) x, y, confidence, in px of the image
out    the same names, refined, without `image` and `keypoints`; and refine_accepted (B,), refine_stop (B,) names of
       StopReason, refine_verdict (B,) sentences, refine_decision (B,) names of Decision, refine_sigma_mm (B, J, 3) of
       the joints of the body that was refined, refine_misfit_before_px and refine_misfit_px (B,)

Nothing is pickled on either side. While it works, standard output is standard error, so that no library's word gets
between.
"""

import contextlib
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from refine.ambient import usual_torch
from refine.errors import InputError
from refine.estimate import as_array
from refine.photo.header import MOST_PIXELS
from refine.refiner import Refiner

INPUT = ("image", "image_path", "keypoints")
"""What is not sent back."""

MOST_BYTES = 8 * MOST_PIXELS
"""Bytes the arrays may take unpacked: the largest photo and as much again for vertices."""


def fit_stream(
    stream: IO[bytes],
    *,
    camera: str | Path | None = None,
    body_model: str | Path | None = None,
    refiner: Refiner | None = None,
) -> bool:
    """Read an npz from a stream, refine it, and write an npz to standard output.

    Args:
        stream: Standard input.
        camera: A focal rule, a K.json file, or a focal length in px; None: the camera in the npz.
        body_model: A model, its file or folder.
        refiner: The method's parts and settings.

    Returns:
        Whether anybody was refined.

    Raises:
        InputError: It is no such npz; nothing is written then.
    """
    with standard_output_kept() as output:
        data, refined = fit_bytes(stream.read(MOST_BYTES + 1), camera=camera, body_model=body_model, refiner=refiner)
        output.write(data)
        output.flush()
    return refined


@usual_torch()
def fit_bytes(
    data: bytes,
    *,
    camera: str | Path | None = None,
    body_model: str | Path | None = None,
    refiner: Refiner | None = None,
) -> tuple[bytes, bool]:
    """Refine an npz in memory.

    Args:
        data: The npz.
        camera: As for `fit_stream`.
        body_model: As for `fit_stream`.
        refiner: As for `fit_stream`.

    Returns:
        The refined npz, and whether anybody was refined.

    Raises:
        InputError: It is no such npz.
    """
    import refine
    from refine.formats.find import write

    arrays = _arrays(data)
    given = {name: value for name, value in arrays.items() if name not in INPUT}
    if ("image" in arrays) == ("image_path" in arrays):
        got = "both" if "image" in arrays else f"keys {', '.join(arrays)}"
        raise InputError("--stdin", "either `image` (H, W, 3) uint8 RGB or `image_path`", got)
    image = arrays["image"] if "image" in arrays else str(arrays["image_path"].reshape(-1)[0])
    result = refine.fit(
        image, given, keypoints=arrays.get("keypoints"), camera=camera, body_model=body_model, refiner=refiner
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "refined.npz"
        write(result.refined, path)
        with np.load(path, allow_pickle=False) as written:
            content = {name: written[name] for name in written.files}
    content |= {
        "refine_accepted": as_array(result.accepted),
        "refine_stop": np.array([reason.name for reason in result.stop]),
        "refine_verdict": np.array(result.verdict, dtype=np.str_),
        "refine_decision": np.array([verdict.decision.name for verdict in result.judgement], dtype=np.str_),
        "refine_sigma_mm": as_array(result.sigma_mm),
        "refine_misfit_before_px": as_array(result.misfit_before),
        "refine_misfit_px": as_array(result.misfit),
    }
    memory = io.BytesIO()
    np.savez(memory, allow_pickle=False, **content)
    return memory.getvalue(), bool(result.accepted.any())


@contextlib.contextmanager
def standard_output_kept() -> Iterator[IO[bytes]]:
    """Give the real standard output; what else writes to it meanwhile, compiled libraries too, goes to standard error.

    Raises:
        InputError: There is no standard output.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError as error:
        raise InputError("--stdin", "a standard output to write to", str(error)) from error
    try:
        os.dup2(2, 1)
        with open(os.dup(kept), "wb") as output:
            yield output
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an npz, plain ones only, not larger than they may be."""
    from refine.files.unpacked import READ_ERRORS

    advice = "Write it with numpy.savez to the process's standard input, and close it."
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MOST_BYTES or len(data) > MOST_BYTES:
            raise InputError(
                "--stdin", f"at most {MOST_BYTES >> 20} MiB of arrays", f"{size >> 20} MiB", "Scale the image down."
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except READ_ERRORS as error:
        got = f"{len(data)} bytes ({error})" if data else "nothing"
        raise InputError("--stdin", "an npz file of plain arrays", got, advice) from error
