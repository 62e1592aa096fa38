"""What a refined file holds beside the source's parameters: a note with their cost in mm, and the refined body.

    cost of person b = mean over the 22 joints of |joint of the source's model in the refined pose - joint of the
    refined body|, mm and px

Without the source's model file its betas stay, so that its own reader shows a body that differs from the refined one by
what two skeletons and two shapes differ. The source's joints in the refined pose follow from those it stored
(`refine.transfer.carry`). `refine_body` is the refined body itself (`refine/estimate/found.py`), which refine reads
again to the bit; a regressor's own reader asks for its keys by name.

Source: derived here.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.smpl_joints import BODY_JOINTS
from refine.estimate import Estimate
from refine.estimate.found import KEY
from refine.transfer import RefinedSource, found_texts
from refine.transfer.carry import carried_joints
from refine.transfer.source_fit import fit_bodies

SAID_PEOPLE = 6
"""So many people are named one by one; of more, the mean and the worst."""


def beside(refined: Estimate, back: RefinedSource, note: str = "") -> dict[str, object]:
    """Return what is stored beside the parameters of a refined file, one level above or among them.

    Args:
        refined: The refined estimate, through the camera its parameters are written for.
        back: The same in the source's model.
        note: What the format has to say.

    Returns:
        `refine_note`, if there is anything to say, and `refine_body`, a list of B texts, where the source's own model
        is not here.
    """
    lines = found_texts(refined, back)
    note = " ".join(part for part in (note, absence_note(refined, back)) if part)
    return ({"refine_note": note} if note else {}) | ({KEY: lines} if lines else {})


def absence_note(refined: Estimate, back: RefinedSource) -> str:
    """Return what reading a refined file on the source's own model costs, in mm and px; empty where nothing."""
    source = refined.source
    rows = back.changed.nonzero()[:, 0].tolist()
    if source.model == refined.body.model or not rows:
        return ""
    why = f"The {source.model} file was not here, so betas are the source's"
    ours = "; refine itself reads refine_body, which is the refined body"
    cost = absence_cost(refined, back)
    if cost is None:
        return (
            f"{why}: how far {source.model}'s joints lie from the refined body's is not known, for the source stores "
            f"none{ours}."
        )
    away, pixels = (part[rows].tolist() for part in cost)
    if len(rows) <= SAID_PEOPLE:
        each = [f"{mm:.0f} mm, {px:.1f} px (person {row + 1})" for row, mm, px in zip(rows, away, pixels, strict=True)]
        said = ", ".join(each)
    else:
        said = (
            f"{_mean(away):.0f} mm, {_mean(pixels):.1f} px on average and {max(away):.0f} mm, {max(pixels):.1f} px at "
            "most"
        )
    return f"{why}: on it the joints lie {said} from the refined body's{ours}."


def absence_cost(refined: Estimate, back: RefinedSource) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]] | None:
    """Return how far the source's model, posed as refined, lies from the refined body: (B,) mm and (B,) px.

    Args:
        refined: The refined estimate.
        back: The same in the source's model.

    Returns:
        Means over the first 22 joints; None where the source stores no joints, by which its skeleton would be known.
    """
    source = refined.source
    if source.joints is None or source.joints.shape[1] < BODY_JOINTS or source.model not in ("smpl", "smplh", "smplx"):
        return None
    carried = carried_joints(source.joints, source.pose, back.pose, source.model)[:, :BODY_JOINTS]
    theirs = carried - carried[:, :1] + back.pelvis.double()[:, None]
    scale = fit_bodies(source, refined.body).scale.detach().cpu().double()[:, None, None]
    ours = refined.joints[:, :BODY_JOINTS].detach().cpu().double() * scale
    camera = refined.camera.local.to("cpu", torch.float64)  # joints are in the camera's frame already
    pixels = (camera.project(theirs) - camera.project(ours)).norm(dim=-1).mean(1)
    return 1000 * (theirs - ours).norm(dim=-1).mean(1), pixels


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
