"""`refine fit` of a video: people solved as tracks, progress with the time left, and what one looks at."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from refine.commands.progress import progress_bar
from refine.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from refine.result import Result
    from refine.solve import Solution

ROUNDS = 3
"""Rounds of the usual method (`refine.Refiner.rounds`), by which progress is counted."""


def refine_video(
    video: Path,
    init: Path,
    out: Path,
    *,
    keypoints: Path | None,
    detector: str | None,
    camera: str | None,
    body_model: Path | None,
    preview: int | None,
    independent: bool,
    fps: float | None,
) -> "Result":
    """Refine the people of a video and write the result; what cannot be drawn is said.

    Args:
        video: The video, or a folder of its frames.
        init: The regressor's result file.
        out: Folder for the results; made if it is not there.
        keypoints: A file about all frames, or a folder with a file a frame in the order of the numbers in their names.
        detector: A detector that is run instead.
        camera: As for `refine.fit`.
        body_model: As for `refine.fit`.
        preview: Refine so many first frames only; the source's own format is not written then.
        independent: Refine each frame by itself.
        fps: Frames a second.

    Raises:
        InputError: As `refine.fit_video`; or there are keypoints and a detector.
    """
    import refine

    if keypoints is not None and detector is not None:
        raise InputError("--detector", "no --keypoints beside it", "both", "Name the keypoints, or the detector.")
    with progress_bar("refine fit") as progress:

        def round_done(number: int, solution: "Solution") -> None:
            progress(number + 1, ROUNDS)

        progress(0, ROUNDS)
        result = refine.fit_video(
            video, init, keypoints=_keypoints(keypoints, detector), camera=camera, body_model=body_model,
            independent=independent, fps=fps, preview=preview, callback=round_done,
        )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    stem = video.stem
    with tempfile.TemporaryDirectory(prefix=".", dir=out) as folder:
        draft = Path(folder)
        result.save(draft / f"{stem}_refine.npz")
        if preview is None:
            result.write_source(draft / f"{stem}_refined{init.suffix}")
        result.write_csv(draft / f"{stem}.csv")
        try:
            result.write_video(draft / f"{stem}_before_after.mp4")
        except (OSError, MissingExtra, InputError) as error:
            typer.echo(f"No video was made: {error}", err=True)
        names = sorted(path.name for path in draft.iterdir())
        for name in names:
            (draft / name).replace(out / name)
    for note in result.notes:
        typer.echo(note, err=True)
    typer.echo(f"{int(result.accepted.sum())} of {len(result)} rows refined.", err=True)
    typer.echo(f"Written to {out}: {', '.join(names)}", err=True)
    return result


def _keypoints(keypoints: Path | None, detector: str | None) -> "Path | list[Path] | str | None":
    """Return the keypoints as `refine.fit_video` takes them."""
    if detector is not None:
        from refine.detectors.find import settled_name

        return settled_name(detector)
    if keypoints is None or not keypoints.is_dir():
        return keypoints
    from refine.folder.keypoints import find_keypoints
    from refine.photo.clip import by_numbers

    files = find_keypoints(keypoints)
    return [files.root / name for name in sorted(files.names, key=by_numbers)]
