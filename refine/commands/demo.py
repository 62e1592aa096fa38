"""`refine demo`: rendered people, disturbed and refined."""

from pathlib import Path
from typing import Annotated

import typer

from refine.commands.places import check_folder


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("demo_out"),
    people: Annotated[int, typer.Option(min=1, help="Number of people, one photo each.")] = 8,
    seed: Annotated[int, typer.Option(help="Which people.")] = 0,
) -> None:
    """Disturb bodies in rendered photos, refine them, print a table and write pictures of before and after."""
    from refine.demo.run import run_demo

    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    run_demo(out, count=people, seed=seed)
