"""`refine inspect`: what a result file is, in words, and as a picture on its photo or on grey."""

from pathlib import Path
from typing import Annotated

import typer

from refine.commands.options import AskedCamera, Format
from refine.commands.places import check_file, make_folder_of

NAME_WIDTH = 14
"""Columns of the facts' names."""


def inspect(
    file: Annotated[Path, typer.Argument(help="A regressor's result file, or refine's own.", show_default=False)],
    image: Annotated[
        Path | None, typer.Option(help="The photo, for the picture and for files that do not know its size.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write the picture (PNG or JPEG), on the photo or on grey; none without."),
    ] = None,
    frame: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Which image to draw of a file of many, counted from 0; the first with somebody in it if not named.",
        ),
    ] = None,
    format: Format = None,
    camera: AskedCamera = None,
) -> None:
    """Tell what a file is: format, people, camera, ranges, what is missing, what looks wrong; draw it (--out)."""
    from refine.errors import InputError
    from refine.export.files import write_image
    from refine.inspection.result_file import inspect as look
    from refine.photo import read_photo
    from refine.viz.seen import grey_photo, seen

    if out is not None:
        check_file(out)
    photo = None if image is None else read_photo(image)
    size, orientation = (None, 1) if photo is None else (photo.size, photo.orientation)
    found = look(file, size=size, orientation=orientation, format=format, camera=camera)
    for name, words in found.facts:
        typer.echo(f"{name:{NAME_WIDTH}}{words}")
    typer.echo(f"{'missing':{NAME_WIDTH}}{'; '.join(found.missing) or 'nothing'}")
    for number, words in enumerate(found.suspicious or ("nothing",)):
        typer.echo(f"{'suspicious' if number == 0 else '':{NAME_WIDTH}}{words}")
    for note in found.estimate.notes:
        typer.echo(note, err=True)
    if out is None or not len(found.estimate):
        return
    chosen = found.first_image if frame is None else frame
    rows = (found.estimate.image_index == chosen).nonzero()[:, 0].tolist()
    if not rows:
        raise InputError("--frame", "an image somebody is in", str(chosen), f"The first is {found.first_image}.")
    height, width = found.estimate.camera.size[rows[0]].round().int().tolist()
    ground = grey_photo(height, width) if photo is None else photo.pixels
    caption = f"{file.name}: {found.estimate.source.format}" + ("" if photo is not None else ", no photo")
    make_folder_of(out)
    write_image(out, seen(ground, found.estimate, image=chosen, caption=caption))
    typer.echo(f"Written to {out}", err=True)
