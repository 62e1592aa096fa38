"""Supposed faults of a folder, one function each: undone, how far do everybody's points lie from the estimates?

    place      detected' = A detected + b, one for all: another size, a padded square, a cut's corner
    lens       projected' = c + a (projected - c): another focal length, c the principal point
    names      left and right, the order of the points, a mirrored photo
    axes       y before x, y upward, estimates with y upward
    units      estimates in mm or cm

Numbers of a place or a lens are medians over people, so that a third of them may be wrong.

Source: Hampel et al., Robust Statistics, 1986, sec. 2.3 (medians; 1.4826 MAD estimates a standard deviation).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.diagnosis.pairs import Pairs, heights
from refine.diagnosis.table import Table
from refine.geometry.focal import RULES
from refine.inputs.corrections import ORDERS, UNITS, KeypointCorrection

MAD_SIGMA = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""
MEDIAN_SIGMA = 1.2533
"""Standard error of a median over that of a mean."""
RULE_SHARE = 0.04
"""A focal length within this share of a rule's is taken to be the rule's."""
SIDES_PX = (192, 224, 256, 320, 384, 416, 448, 512, 518, 560, 640, 672, 720, 768, 800, 896, 960, 1024, 1280)
"""Sides networks pad their photos to."""
USUAL_SIDE = 1.1
"""Such a side is taken if it leaves at most so many times what the best one leaves."""
SAME_ASPECT = 0.08
"""Widths and heights whose shares differ by less (in the logarithm) were resized alike."""
OWN_ASPECT, OWN_AGREE = 0.75, 0.75
"""Shares of their own must leave less than this of what one share for both leaves, for so many of the people."""
ENOUGH, PLAIN_ASPECT = 8, 0.25
"""Of fewer different people, shares of width and height must differ by so much (in the logarithm) to be believed."""
LEAST_SHARE = 0.06
"""A size that differs by less (in the logarithm) is no fault."""
SIMPLE_SHARES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
"""What people resize photos by."""
WANDER, STAY = 0.25, 0.5
"""People's places must spread this far over the photos, in heights, and detected places at most this share of it."""
LEAST_TALL = 0.03
"""Of the photo's longer side: estimates smaller than this are not where they belong themselves."""
REACH = 0.12
STEPS = tuple(math.exp(REACH * (step / 12 - 1)) for step in range(25))
"""A share is looked for up to this far (in the logarithm) around the one that sizes say, where people fit best."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A supposed fault and what is left when it is undone.

    Attributes:
        fault: What it is called.
        words: The fault in words, after "It looks as if".
        flag: What undoes it on the command line; "" where nothing can.
        left: (N,) distance of each person's points, in heights of the person; NaN for people it says nothing of.
        effect: How large the fault is over the least that matters; above one.
        deviations: How many of its standard errors it lies from nothing; infinite for what is no number.
        simple: Lower goes first where two explain alike.
        agree: Share of people that lie nearer, where the people looked at are not the table's.
        before: Their median distance before.
    """

    fault: str
    words: str
    flag: str
    left: Float[Tensor, "N"]
    effect: float = math.inf
    deviations: float = math.inf
    simple: int = 0
    agree: float = math.nan
    before: float = math.nan


def names_and_axes(table: Table) -> Iterator[Candidate]:
    """Left and right, a mirrored photo, y before x, y upward, other orders."""
    kinds = [
        ("sides", KeypointCorrection(swapped=True), "left and right of the keypoints have each other's names",
         "sides=swapped"),
        ("mirror", KeypointCorrection(mirror=True), "the keypoints were made on the mirrored photo", "mirror=yes"),
        ("yx", KeypointCorrection(axes="yx"), "the keypoints have y before x", "axes=yx"),
        ("keypoints-y-up", KeypointCorrection(axes="y-up"), "the keypoints' y counts from the lower border",
         "axes=y-up"),
    ]  # fmt: skip
    for fault, correction, words, flag in kinds:
        yield Candidate(fault, words, f"--correct keypoints.{flag}", table.left(table.pairs(correction)))
    for order, names in ORDERS.items():
        if len(names) == table.count and order != table.name:
            pairs = table.pairs(KeypointCorrection(order=order))
            words = f"the keypoints stand in the order of {order}, not of {table.name}"
            yield Candidate("order", words, f"--correct keypoints.order={order}", table.left(pairs))


def units_and_axes(table: Table) -> Iterator[Candidate]:
    """Estimates in mm or cm, or with y upward."""
    for unit, metres in UNITS.items():
        pairs = table.pairs(points=table.scaled_place(metres))
        yield Candidate("units", f"the estimates' translations are in {unit}", f"--correct estimate.units={unit}",
                        table.left(pairs))  # fmt: skip
    pairs = table.pairs(points=table.points * table.points.new_tensor([1.0, -1.0, -1.0]))
    yield Candidate("axes", "the estimates' y points up and z backward, as OpenGL and Blender have it",
                    "--correct estimate.axes=y-up", table.left(pairs))  # fmt: skip


def size(table: Table, pairs: Pairs) -> Iterator[Candidate]:
    """Keypoints of a resized photo: places as well as people are smaller."""
    one, other = pairs.centers()
    far = one > 0.1 * pairs.size.flip(-1)
    log = torch.where(far & (other > 0), (other.clamp(min=1e-9) / one.clamp(min=1e-9)).log(), torch.nan)
    ratio, deviations = _summary(log)
    effect = float(ratio.log().abs().max()) / LEAST_SHARE
    if effect < 1:
        return
    sides = pairs.size.flip(-1)
    one_size = bool((sides == sides[:1]).all())
    if float((sides[0] * ratio).max()) <= 2:
        correction, flag = KeypointCorrection(size=(1, 1)), "size=1x1"
        words = "the keypoints are shares of the photo's sides"
    else:
        share = _share_of_both(table, pairs, float(ratio.log().mean().exp()))
        own = one_size and _has_its_own_aspect(table, pairs, ratio, share)
        if not own:
            ratio, effect = torch.tensor([share, share]), abs(math.log(share)) / LEAST_SHARE
        if effect < 1:
            return
        width, height = (max(1, round(float(side))) for side in (sides[0] * ratio).tolist())
        correction, flag = KeypointCorrection(size=(height, width)), f"size={width}x{height}"
        words = f"the keypoints were made on photos of about {width} x {height} px"
        if not one_size:
            correction, flag = KeypointCorrection(scale=share), f"size={100 * share:.4g}%"
            words = f"the keypoints were made on photos of {100 * share:.3g} % of these photos' sides"
    yield Candidate("size", words, f"--correct keypoints.{flag}", table.left(pairs, correction), effect, deviations, 2)


def _share_of_both(table: Table, pairs: Pairs, near: float) -> float:
    """Return the one share of both sides under which people fit best; a simple one where it fits about as well."""
    tried = [near * step for step in STEPS] + [one for one in SIMPLE_SHARES if abs(math.log(one / near)) < REACH]
    lefts = {share: _middle(table.left(pairs, KeypointCorrection(scale=share))) for share in tried}
    best = min(lefts, key=lefts.__getitem__)
    simple = [share for share in tried if share in SIMPLE_SHARES and lefts[share] < USUAL_SIDE * lefts[best]]
    return min(simple, key=lefts.__getitem__, default=best)


def _has_its_own_aspect(table: Table, pairs: Pairs, ratio: Tensor, share: float) -> bool:
    """Say whether width and height were clearly resized by shares of their own: most people lie much nearer then.

    Two shares always explain a little more than one, and a photo is rarely resized to another shape. Copies of one
    estimate are one person: of few, only a plainly other shape is believed.
    """
    people = len(pairs.projected.round().unique(dim=0))
    if abs(float(ratio.log()[0] - ratio.log()[1])) < (SAME_ASPECT if people >= ENOUGH else PLAIN_ASPECT):
        return False
    width, height = (max(1, round(float(side))) for side in (pairs.size[0].flip(-1) * ratio).tolist())
    free = table.left(pairs, KeypointCorrection(size=(height, width)))
    one = table.left(pairs, KeypointCorrection(scale=share))
    both = free.isfinite() & one.isfinite()
    nearer = float((free < one)[both].float().mean()) if bool(both.any()) else 0.0
    return _middle(free) < OWN_ASPECT * _middle(one) and nearer >= OWN_AGREE


def _middle(left: Tensor) -> float:
    """Return the median without NaN (of an even number the mean of the middle two); infinite where nobody is left."""
    known = left[left.isfinite()]
    return float(known.double().quantile(0.5)) if len(known) else math.inf


def letterbox(table: Table, pairs: Pairs) -> Iterator[Candidate]:
    """Keypoints of a padded photo, resized or not; a square one has no padding."""
    if bool((pairs.size[:, 0] == pairs.size[:, 1]).all()):
        return
    correction = KeypointCorrection(letterbox=0)
    words = "the keypoints were made on photos padded to a square, and the padding was not taken off"
    flag = "--correct keypoints.letterbox=photo"
    yield Candidate("padding", words, flag, table.left(pairs, correction), simple=1)
    ratio, deviations = _ratio(pairs)
    if abs(math.log(ratio)) < 0.06:
        return
    longer = pairs.size.amax(1).median()
    tried = sorted({*SIDES_PX, *(round(float(longer) * ratio * step) for step in STEPS)})
    tried = [side for side in tried if abs(math.log(side / (float(longer) * ratio))) < 2 * REACH] or [
        round(float(longer))
    ]
    lefts = {side: table.left(pairs, KeypointCorrection(letterbox=side)) for side in tried}
    medians = {side: float(left.nanmedian()) for side, left in lefts.items()}
    best = min(medians, key=medians.__getitem__)
    usual = [side for side in tried if side in SIDES_PX and medians[side] < USUAL_SIDE * medians[best]]
    best = min(usual, key=medians.__getitem__, default=best)
    words = f"the keypoints were made on photos resized and padded to a square of {best} px"
    yield Candidate(
        "padding", words, f"--correct keypoints.letterbox={best}", lefts[best], deviations=deviations, simple=3
    )


def offset(table: Table, pairs: Pairs) -> Iterator[Candidate]:
    """Keypoints of a cut of the photo."""
    one, other = pairs.centers()
    away = one - other
    middle, deviations = _median(away)
    effect = float(middle.norm()) / (0.05 * float(pairs.height.median()))
    if effect < 1:
        return
    x, y = (round(value) for value in middle.tolist())
    words = f"the keypoints count from ({x}, {y}) px of the photos: a cut's corner was not added"
    left = table.left(pairs, KeypointCorrection(offset=(float(x), float(y))))
    yield Candidate("offset", words, f"--correct keypoints.offset={x},{y}", left, effect, deviations, 4)


def crops(table: Table, pairs: Pairs) -> Iterator[Candidate]:
    """Keypoints of a cut around each person: their middles do not follow the people's."""
    one, other = pairs.centers()
    tall = heights(pairs.projected, pairs.known)
    wander, stay = (place.std(0).norm() for place in (one / tall[:, None], other / pairs.height[:, None]))
    small = float(tall.median()) < LEAST_TALL * float(pairs.size.amax())
    if small or float(wander) < WANDER or float(stay) > STAY * float(wander):
        return
    spread_one, spread_other = pairs.spreads()
    ratio = (spread_one.norm(dim=1) / spread_other.norm(dim=1).clamp(min=1e-6))[:, None, None]
    back = (pairs.detected - other[:, None]) * ratio + one[:, None]
    words = (
        "the keypoints count from the corner of a cut around each person; add each cut's corner (and its scale) to them"
    )
    yield Candidate("crops", words, "", table.spread_out(pairs, pairs.distance(back)), simple=5)


def focal(table: Table, pairs: Pairs) -> Iterator[Candidate]:
    """Estimates through another lens than the one they were made for."""
    ratio, deviations = _ratio(pairs)
    center = pairs.center[:, None]

    def through(share: float) -> Tensor:
        return pairs.distance(projected=center + share * (pairs.projected - center))

    share = min((ratio * step for step in STEPS), key=lambda one: float(through(one).nanmedian()))
    effect = abs(math.log(share)) / 0.05
    if effect < 1:
        return
    left = table.spread_out(pairs, through(share))
    wanted = share * table.focal[pairs.row]
    found = {}
    for name, rule in RULES.items():
        made = torch.tensor([rule.focal_px(height, width) for height, width in pairs.size.tolist()])
        found[name] = float((wanted / made).log().median().abs())
    best = min(found, key=found.__getitem__)
    if found[best] < RULE_SHARE:
        flag, words = (
            (f"--camera {best}" if table.sample.free_camera else f"--correct estimate.focal={best}"),
            f'the estimates were made with the focal rule "{best}" ({RULES[best].says})',
        )
    else:
        px = float(wanted.median())
        flag = f"--correct estimate.focal={px:.0f}"
        words = f"the estimates were made with a focal length of about {px:.0f} px"
    yield Candidate("focal", words, flag, left, effect, deviations, 3)


def _ratio(pairs: Pairs) -> tuple[float, float]:
    """Return how much larger detected people are than projected ones, and its logarithm in standard errors."""
    one, other = (spread.norm(dim=1) for spread in pairs.spreads())
    good = (one > 1e-6) & (other > 0)
    log = torch.where(good, (other.clamp(min=1e-9) / one.clamp(min=1e-9)).log(), torch.nan)
    ratio, deviations = _summary(log[:, None])
    return float(ratio), deviations


def _summary(log: Tensor) -> tuple[Tensor, float]:
    """Return exp of the medians of columns (R, C) without NaN, and how many standard errors one lies from zero."""
    middle = log.nanmedian(0).values.nan_to_num(0.0)
    apart = (log - middle).abs().nanmedian(0).values.nan_to_num(1.0)
    count = log.isfinite().sum(0).clamp(min=1).sqrt()
    error = (MEDIAN_SIGMA * MAD_SIGMA * apart / count).clamp(min=1e-3)
    return middle.exp(), float((middle.abs() / error).max())


def _median(away: Tensor) -> tuple[Tensor, float]:
    """Return the median (2,) of vectors (R, 2), and how many standard errors it lies from zero."""
    middle = away.median(0).values
    apart = (away - middle).abs().median(0).values
    error = (MEDIAN_SIGMA * MAD_SIGMA * apart / len(away) ** 0.5).clamp(min=1e-3)
    return middle, float((middle.abs() / error).max())
