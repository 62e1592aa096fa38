"""Evaluates a network: `python -m displacement_net.training.evaluate --weights FILE --training-body FILE ...`.

Tables go to standard error, all figures as JSON to standard output. What is measured on which people: the modules of
`displacement_net.training.evaluation`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import torch
import typer

from displacement_net import catalog
from displacement_net.model import DisplacementNet
from displacement_net.training.batches import batch_of
from displacement_net.training.evaluation import tables
from displacement_net.training.evaluation.annotated import read_annotated
from displacement_net.training.evaluation.field import Field, collect, field
from displacement_net.training.evaluation.fit_annotated import fit_annotated
from displacement_net.training.evaluation.hold_out import HoldOut, hold_out_of, known_shapes
from displacement_net.training.evaluation.pictures import write_triptych
from displacement_net.training.evaluation.real_people import STRENGTHS as REAL_STRENGTHS
from displacement_net.training.evaluation.real_people import in_photo, rows_of, try_people
from displacement_net.training.evaluation.refined import Change, changes, refine_samples
from displacement_net.training.evaluation.stored import BEV, ROMP, arms, moved, refine_bev, refine_romp
from displacement_net.training.samples import TEXTURE_CASES
from refine.body import anny
from refine.dense.network import NetworkDisplacer
from refine.errors import InputError
from refine.evaluate.strengths import STRENGTHS
from refine.files.atomic import write_bytes
from refine.refiner import Refiner
from refine.trust.gate import Gate

if TYPE_CHECKING:
    from rich.table import Table

PHOTO_PX = 256
"""Side of the hold-out's photos that are refined."""
PICTURED = "medium"
"""Strength of the real people's estimates that are drawn."""
Tell = Callable[[object], None]


def network_alone(network: DisplacementNet, rounds: int = 3, gate: Gate | None = None) -> Refiner:
    """Return the method with the network as its only evidence.

    Args:
        network: In evaluation mode.
        rounds: Renderings.
        gate: Says how wrong estimates are and what is believed; None: the network is.
    """
    displacer = NetworkDisplacer(network)
    return Refiner(displacer=displacer, rounds=rounds, gate=gate)


def field_of(network: DisplacementNet, hold_out: HoldOut, each: int, strengths: tuple[str, ...] = STRENGTHS) -> Field:
    """Measure the network's field, at the side it was trained at, under every texture case.

    Args:
        network: In evaluation mode.
        hold_out: Whom it is measured on.
        each: Samples of each strength under each texture case.
        strengths: Of their estimates.
    """
    size = network.settings.crop_px
    samples = (part for case in TEXTURE_CASES for part in hold_out.batches(case, size, each, strengths))
    return field(collect(lambda shown: network(batch_of(shown).channels), samples), strengths)


def refined_of(
    network: DisplacementNet,
    hold_out: HoldOut,
    each: int,
    strengths: tuple[str, ...] = STRENGTHS,
    gate: Gate | None = None,
) -> dict[str, Change]:
    """Refine hold-out people of whose looks nothing is known.

    Args:
        network: In evaluation mode.
        hold_out: Where they come from.
        each: People of each strength.
        strengths: Of their estimates.
        gate: See `network_alone`.
    """
    batches = hold_out.batches(TEXTURE_CASES[0], PHOTO_PX, each, strengths)
    body = hold_out.training.body.to(device=hold_out.device)
    refined = refine_samples(body, network_alone(network, gate=gate), batches, known_shapes(hold_out.training))
    return changes(refined, strengths)


def real_photos(
    network: DisplacementNet, folder: Path, pictures: Path | None = None, gate: Gate | None = None
) -> tuple[dict[str, Any], list["Table"]]:
    """Judge the network on real photos.

    Args:
        network: On the CPU, in evaluation mode.
        folder: It holds `coco`, `bev_pair` and `romp_photo`.
        pictures: Folder that before, arrows and after are drawn into; None: nothing is drawn.
        gate: See `network_alone`.

    Returns:
        The figures, and their tables.

    Raises:
        InputError: A folder is missing or not of its format.
    """
    absent = [name for name in ("coco", BEV, ROMP) if not (folder / name).is_dir()]
    if absent:
        raise InputError(
            "--real-data", f"a folder with coco, {BEV} and {ROMP}", f"{folder} without {', '.join(absent)}"
        )
    refiner, people = network_alone(network, gate=gate), read_annotated(folder / "coco")
    fitted = fit_annotated(anny.load(), people)
    trial = try_people(people, fitted, refiner)
    rows, lies = rows_of(people, trial), in_photo(people, torch.arange(len(people)), fitted)
    floor = float(lies.misfit.mean()), float(lies.iou.mean())
    pair, person = refine_bev(folder / BEV, refiner), refine_romp(folder / ROMP, refiner)
    reached, went = arms(folder / BEV, pair), {BEV: moved(pair), ROMP: moved(person)}
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        displacer = NetworkDisplacer(network)
        for number, strength in enumerate(REAL_STRENGTHS):
            first = trial.first_of(number)
            write_triptych(
                pictures / f"coco_{strength}.jpg", people.photos, first.estimate, first.refined, displacer,
                f"Disturbed ({strength})",
            )  # fmt: skip
        for name, result in ((BEV, pair), (ROMP, person)):
            write_triptych(
                pictures / f"{name}.jpg", result.photos, result.estimate, result.refined, displacer, "Estimate"
            )
    figures = {
        "people": rows,
        "undisturbed": {"misfit": floor[0], "iou": floor[1]},
        "summary": tables.people_summary(rows),
        "arms": reached,
        "moved": went,
    }
    return tables.plain(figures), [tables.people_table(rows, floor), tables.stored_table(reached, went)]


def main(
    weights: Annotated[str, typer.Option(help="A file of weights, or a name of the catalogue.")],
    training_body: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The full base mesh (python -m refine.body.build --training FILE); without: no hold-out."),
    ] = None,
    assets: Annotated[
        Path, typer.Option(help="Folder of clothes, skins, panoramas, motion.", envvar="REFINE_ASSETS")
    ] = Path("../shared/assets"),
    count: Annotated[int, typer.Option(min=1, help="Samples of each strength under each texture case.")] = 64,
    refined: Annotated[int, typer.Option(min=0, help="People of each strength that are refined.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Which people.")] = 0,
    real_data: Annotated[Optional[Path], typer.Option(help="Folder with coco, bev_pair and romp_photo.")] = None,  # noqa: UP045
    pictures: Annotated[Optional[Path], typer.Option(help="Folder to draw the real photos into.")] = None,  # noqa: UP045
    json_file: Annotated[Optional[Path], typer.Option("--json", help="Write the figures here too.")] = None,  # noqa: UP045
    gated: Annotated[bool, typer.Option("--gate", help="Judge estimates and updates as `refine.fit` does.")] = False,
    device: Annotated[str, typer.Option(help="Where the hold-out is made and measured.")] = "cpu",
    threads: Annotated[Optional[int], typer.Option(min=1, help="Threads; default: torch's.")] = None,  # noqa: UP045
) -> None:
    """Evaluate a displacement network on people it was not trained with and on real photos."""
    from rich.console import Console

    tell: Tell = Console(stderr=True, width=None if sys.stderr.isatty() else 160).print
    if threads:
        torch.set_num_threads(threads)
    try:
        if training_body is None and real_data is None:
            raise InputError("--training-body", "it, or --real-data, or both", "neither")
        if pictures and real_data is None:
            raise InputError("--pictures", "--real-data with it", "none")
        network, gate = catalog.load(weights), Gate() if gated else None
        figures: dict[str, Any] = {"weights": weights, "seed": seed, "gate": gated}
        if training_body is not None:
            hold_out = hold_out_of(training_body, assets, seed, device)
            figures |= _synthetic(network.to(device), hold_out, count, refined, tell, gate)
        if real_data is not None:
            figures["real"], shown = real_photos(network.cpu(), real_data, pictures, gate)
            for table in shown:
                tell(table)
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    text = json.dumps(figures, indent=1) + "\n"
    if json_file:
        write_bytes(json_file, text.encode())
    typer.echo(text, nl=False)


def _synthetic(
    network: DisplacementNet, hold_out: HoldOut, count: int, refined: int, tell: Tell, gate: Gate | None
) -> dict[str, Any]:
    """Measure field and refinement, and show both."""
    found = field_of(network, hold_out, count)
    for table in tables.field_tables(found):
        tell(table)
    figures = {"field": tables.plain(found)}
    if refined:
        changed = refined_of(network, hold_out, refined, gate=gate)
        tell(tables.change_table(changed))
        figures["refined"] = tables.plain(changed)
    return figures


if __name__ == "__main__":
    typer.run(main)
