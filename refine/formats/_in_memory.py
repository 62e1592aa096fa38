"""Mappings in memory that are a system's own output and no SMPL(-X) parameters: whose they are, what to do.

Source: `_renames` (systems), the formats' `KEYS` (their files), isarandi/nlf@6f7ba6d `demo.ipynb` (NLF's dictionary).
"""

from collections.abc import Mapping

from refine.errors import InputError
from refine.formats._nearly import ENOUGH, TELLING, names_of, names_within
from refine.formats._renames import renames, without_root

NLF = frozenset({"pose", "betas", "trans"})
NLF_BESIDE = frozenset({"vertices3d", "joints3d", "joints2d", "joints3d_nonparam"})
"""NLF's `trans` is no place in some of its releases, and these say so; its file is read by its joints."""


def refuse_places_that_are_none(where: str, content: object) -> None:
    """Refuse a mapping whose `trans` would be taken for a place and may be none: NLF's output.

    Args:
        where: What it came as, for messages.
        content: It.

    Raises:
        InputError: It is NLF's.
    """
    if not isinstance(content, Mapping) or not (set(content) >= NLF and NLF_BESIDE & set(content)):
        return
    advice = (
        "Save the whole dictionary that detect_smpl_batched returned, torch.save(pred, 'nlf.pt'), and give the file. "
        "Or store pose and betas with joints = joints3d / 1000 (B, 24, 3) m in the camera's frame in place of trans, "
        "and focal, center, size of the call's camera."
    )
    raise InputError(
        where, "SMPL(-X) names with a place", "NLF's output, whose trans is no place in some releases", advice
    )


def advice_on(content: object) -> str:
    """Return whose a mapping without SMPL's names is and what to rename, or which file to give; "" where unknown.

    Args:
        content: The mapping, nested as it likes.
    """
    from refine.formats.find import formats

    levels = names_within(content)
    if said := renames(levels):
        return said
    best = ("", 0.0)
    for name, module in formats().items():
        wanted = names_of(module)
        there = max((len(wanted & level) for level in levels), default=0)
        if wanted and there >= max(ENOUGH * len(wanted), min(TELLING, len(wanted))) and there > best[1]:
            best = (name, there)
    if best[0]:
        return f"It looks like what {best[0]} writes: give the file (refine.fit(photo, path)), which is read as it is."
    return without_root(levels)
