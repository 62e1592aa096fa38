"""Options that several commands have, each declared once."""

from pathlib import Path
from typing import Annotated, Optional

import typer

Results = Annotated[str, typer.Argument(help="A result file, a folder of them, or a pattern.", show_default=False)]
Images = Annotated[str, typer.Option(help="Folder or pattern of photos, or a video.", show_default=False)]
Keypoints = Annotated[
    str | None,
    typer.Option(
        help="Folder or pattern of 2D keypoints, or one file about all photos; the network looks at the photos if not"
        " named."
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(
        help="A 2D detector that is run on the photos, in place of keypoints: auto, mediapipe, ... or NAME=MODEL"
        " (docs/keypoints.md)."
    ),
]
Points3D = Annotated[
    str | None,
    typer.Option(
        "--points3d",
        help="3D joints of a lifting network (npy, npz, pkl, JSON; FILE=ORDER names their order) or a point cloud (ply,"
        " npy, npz), as further evidence (docs/evidence.md).",
    ),
]
Format = Annotated[str | None, typer.Option(help="The results' format; recognised if not named.")]
AskedCamera = Annotated[
    str | None, typer.Option(help="A focal rule (diagonal, fov60, hmr2, ...), a K.json file, or a focal length in px.")
]
BodyModel = Annotated[Optional[Path], typer.Option(help="A model file, or a folder with models.")]  # noqa: UP045
SaveNpz = Annotated[bool, typer.Option("--save-npz", help="Also write refine's own npz of each result.")]
Device = Annotated[str, typer.Option(help="Where the solver works: cpu, cuda, cuda:1.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of each process; 1 if not named.")]
FirstFrame = Annotated[
    int | None,
    typer.Option(
        min=0, help="The number of a video's first frame in the results' names; told by the names if not named."
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Do only so many results, the first by name.")]
Correct = Annotated[
    list[str] | None,
    typer.Option(help="NAME=VALUE: a systematic fault to undo, as `refine diagnose` names it; may be repeated."),
]
Independent = Annotated[
    bool,
    typer.Option("--independent", help="Refine every frame by itself, also where a result says who is who over time."),
]
Fps = Annotated[
    float | None, typer.Option(help="Frames a second of tracks; a video's own times, else 30, if not named.")
]
