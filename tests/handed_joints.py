"""What formats and adapters hand over before it is judged, and other orders of their joints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.plugin.adapters.find import regressor
from refine.transfer import forward
from refine.transfer.agreement import agreeing
from refine.transfer.joint_orders import names_of, posed_points
from tests.format_examples import example
from tests.regressor_outputs import EXAMPLES

MOVED_M = 0.1
"""A permutation must be noticed that moves a joint farther than this."""


@dataclass
class Handed:
    """What a reader handed over before anything was looked at."""

    source: Source
    camera: Camera
    estimate: Estimate


def handed(make: Callable[[], Estimate], monkeypatch: pytest.MonkeyPatch) -> Handed:
    """Read or adapt something, and keep what it handed to `to_body` first."""
    seen: list[tuple[Source, Camera]] = []

    def watched(source: Source, camera: Camera, body: SkinnedBody) -> Source:
        seen.append((source, camera))
        return agreeing(source, camera, body)

    with monkeypatch.context() as patch:
        patch.setattr(forward, "agreeing", watched)
        estimate = make()
    return Handed(*seen[-1], estimate)


def of_format(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, people: int = 2) -> Handed:
    return handed(example(name, folder, people).read, monkeypatch)


def of_adapter(name: str, monkeypatch: pytest.MonkeyPatch, people: int = 2) -> Handed:
    made = EXAMPLES[name](people)
    return handed(lambda: regressor(name).estimate(made.output, made.batch), monkeypatch)


def named(source: Source) -> tuple[str, ...]:
    assert source.joints is not None
    return source.joint_names or names_of(source.model, source.joints.shape[1])


def permutations(source: Source, count: int, seed: int) -> Iterator[Tensor]:
    """Orders (L,) that move a known joint far: all shuffled, two or three exchanged, shifted, left for right."""
    assert source.joints is not None
    names, draw = named(source), torch.Generator().manual_seed(seed)
    length, known = len(names), set(posed_points(source.pose[:1], source.model)[0])
    places = [place for place, name in enumerate(names) if name in known]
    tried = 0
    while tried < count:
        order = torch.arange(length)
        kind = tried % 4
        if kind == 0:
            order = torch.randperm(length, generator=draw)
        elif kind == 3:
            order = order.roll(int(torch.randint(1, length, (), generator=draw)))
        else:
            chosen = torch.tensor(places)[torch.randperm(len(places), generator=draw)[: kind + 1]]
            order[chosen] = order[chosen.roll(1)]
        moved = (source.joints[:, order] - source.joints).norm(dim=2)[:, places]
        if float(moved.amax(1).min()) > MOVED_M:
            tried += 1
            yield order
        elif kind == 3:
            tried += 1
    yield torch.tensor([_other_side(names, place) for place in range(length)])


def _other_side(names: tuple[str, ...], place: int) -> int:
    """Where a list has the same joint of the other side: the n-th of that name for the n-th."""
    side, _, part = names[place].partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    same, there = ([n for n, name in enumerate(names) if name == f"{one}_{part}"] for one in (side, other))
    return there[same.index(place)] if other and len(same) == len(there) else place
