"""`refine demo`: disturb, refine, measure, and show.

    for each kind of evidence    before = medium estimate,   after = Refiner(known displacement),
        Adam on the same evidence

Source: figures are defined in `refine.evaluate.metrics`; strengths in `refine.evaluate.disturbance`.
"""

import json
import time
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from refine.body.smpl_joints import BODY_JOINTS
from refine.demo.adam import Adam
from refine.demo.known import KnownDisplacement
from refine.demo.scene import Scene, make_scene
from refine.dense.correspondence import Matching
from refine.estimate import Estimate
from refine.evaluate import metrics
from refine.refiner import Refiner
from refine.terms.correlation import INDEPENDENT

if TYPE_CHECKING:
    from rich.console import Console

MATCHING = Matching(correlation=INDEPENDENT)
"""512 matches a body; the scene's errors are drawn pixel by pixel, so they do not hang together as a network's do."""
ROUNDS = 3
"""Renderings; Adam's steps are shared among them."""

TABLE_WIDTH = 80
"""Least width of the table, columns: narrower ones would cut its numbers."""


@dataclass(frozen=True)
class Figures:
    """How far some people are from the truth, means over people.

    Attributes:
        pve: mm, pelvis-aligned.
        mpjpe: mm, pelvis-aligned, body joints.
        pa_mpjpe: mm, body joints.
        pixel: px of the photo, mean distance of projected vertices.
    """

    pve: float
    mpjpe: float
    pa_mpjpe: float
    pixel: float


@dataclass(frozen=True)
class Row:
    """One kind of evidence.

    Attributes:
        evidence: In words.
        before: The estimate.
        after: The result.
        adam: Adam's result on the same evidence.
        seconds: Per body, rendering included.
        adam_seconds: Per body, rendering included.
    """

    evidence: str
    before: Figures
    after: Figures
    adam: Figures
    seconds: float
    adam_seconds: float

    @property
    def ratio(self) -> float:
        """Vertex error after over before."""
        return self.after.pve / self.before.pve


def run_demo(out: Path, count: int = 8, seed: int = 0, adam: Adam | None = None) -> tuple[Row, ...]:
    """Refine disturbed people under four kinds of evidence; print a table, write pictures and `table.json`.

    Args:
        out: An existing folder.
        count: Number of people, one photo each, at most 64.
        seed: Of shapes, directions, disturbances and noise.
        adam: What to compare with; None: Adam with 300 steps.

    Returns:
        One row a kind of evidence: true correspondences, 2 px noise, 20 % outliers, the lower half of the body hidden.
    """
    from rich.console import Console

    from refine.body import anny
    from refine.demo.pictures import write_pictures

    console = Console(stderr=True)
    with console.status("Photographing people"):
        scene = make_scene(anny.load(), count, seed)
    kinds = {
        "true matches": KnownDisplacement(scene.true, seed=seed),
        "2 px noise": KnownDisplacement(scene.true, noise_px=2.0, seed=seed),
        "20 % outliers": KnownDisplacement(scene.true, outliers=0.2, seed=seed),
        "half hidden": KnownDisplacement(scene.true, hidden=True, seed=seed),
    }
    rows, results = [], {}
    for name, displacer in kinds.items():
        console.print(f"Refining {count} people: {name}; Adam's steps beside it take most of the time.")
        with console.status(f"Refining: {name}"):
            row, results[name] = compare(scene, displacer, name, adam or Adam())
            rows.append(row)
    with console.status("Drawing"):
        written = write_pictures(out, scene, results)
    (out / "table.json").write_text(json.dumps([{**asdict(row), "ratio": row.ratio} for row in rows], indent=1))
    print_table(rows, count, Console(width=max(TABLE_WIDTH, Console().width)))
    console.print(f"Written to {out}: {', '.join([*(path.name for path in written), 'table.json'])}")
    return tuple(rows)


def compare(scene: Scene, displacer: KnownDisplacement, name: str, adam: Adam) -> tuple[Row, Estimate]:
    """Refine a scene's people twice, with the library and with Adam.

    Args:
        scene: The people.
        displacer: The evidence.
        name: In words, for the table.
        adam: Adam's settings.

    Returns:
        The figures, and the library's result.
    """
    from priors.default import default_priors

    start = scene.estimate
    priors = default_priors(start)
    refiner = Refiner(displacer=displacer, matching=MATCHING, rounds=ROUNDS)
    begin = time.perf_counter()
    state = refiner.refine(scene.photos, start, (), priors)[-1].state
    middle = time.perf_counter()
    rival = adam.refine(scene.photos, start, displacer, priors, MATCHING, ROUNDS)
    end = time.perf_counter()
    before, after, other = (figures(scene.true, replace(start, state=each)) for each in (start.state, state, rival))
    people = len(start)
    return Row(name, before, after, other, (middle - begin) / people, (end - middle) / people), replace(
        start, state=state
    )


def figures(true: Estimate, estimate: Estimate) -> Figures:
    """Measure estimated people against the true ones."""
    joints, true_joints = estimate.joints, true.joints
    pve = metrics.pve(estimate.vertices, true.vertices, joints[:, 0], true_joints[:, 0])
    joints, true_joints = joints[:, :BODY_JOINTS], true_joints[:, :BODY_JOINTS]
    apart = (estimate.camera.project(estimate.vertices) - true.camera.project(true.vertices)).norm(dim=-1)
    means = (
        torch.mean(each)
        for each in (pve, metrics.mpjpe(joints, true_joints), metrics.pa_mpjpe(joints, true_joints), apart)
    )
    return Figures(*(float(mean) for mean in means))


def print_table(rows: list[Row], count: int, console: "Console") -> None:
    """Print the rows."""
    from rich.box import SIMPLE
    from rich.table import Table

    title = (
        f"{count} people, medium estimate → refined, means. PVE, MPJPE (pelvis-aligned) and PA-MPJPE in mm; 2D: "
        f"vertices, px;\n"
        f"s: seconds a person; Adam: PVE after its 300 steps on the same evidence"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("evidence", no_wrap=True)
    for column in ("PVE", "ratio", "MPJPE", "PA-MPJPE", "2D", "s", "Adam", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        pairs = zip(astuple(row.before), astuple(row.after), strict=True)
        pve, mpjpe, pa_mpjpe, pixel = (f"{before:.0f}→{after:.1f}" for before, after in pairs)
        seconds, rival = f"{row.seconds:.2f}", f"{row.adam_seconds:.2f}"
        table.add_row(
            row.evidence, pve, f"{100 * row.ratio:.0f} %", mpjpe, pa_mpjpe, pixel, seconds, f"{row.adam.pve:.1f}", rival
        )
    console.print(table)
