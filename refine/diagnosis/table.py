"""The sample as tensors, so that a supposed fault costs a few operations: detected people and some bodies."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.keypoint_names import SETS
from refine.diagnosis.pairs import Pairs, match_by_shape
from refine.diagnosis.sample import Sample
from refine.inputs.corrections import KeypointCorrection, placed, renamed
from refine.keypoints.detections import SURE

MOST_PEOPLE = 400
"""People looked at, evenly from all: a fault of the folder shows in them as well."""


@dataclass(frozen=True, eq=False)
class Detected:
    """All people that were detected in some photos.

    Attributes:
        pixel: (Q, K, 2) px, zero where a point is missing.
        confidence: (Q, K).
        size: (Q, 2) px, (height, width) of their photo.
        first: For each photo with somebody in it, its first row and how many they are.
    """

    pixel: Float[Tensor, "Q K 2"]
    confidence: Float[Tensor, "Q K"]
    size: Float[Tensor, "Q 2"]
    first: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Table:
    """Some people of a sample beside all that was detected in their photos.

    Attributes:
        sample: All people.
        name: The keypoint set, of the body's own points.
        rows: (N,) the people looked at.
        others: Photos whose keypoints are looked at beside those of these people's.
    """

    sample: Sample
    name: str
    rows: Tensor
    others: tuple[int, ...] = ()

    @staticmethod
    def of(sample: Sample, most: int = MOST_PEOPLE) -> "Table | None":
        """Return the table; None where nothing was detected in any photo."""
        people = [frame.people for frame in sample.frames if frame.people is not None and len(frame.people)]
        if not people:
            return None
        count = len(sample)
        rows = torch.arange(count) if count <= most else torch.linspace(0, count - 1, most).round().long()
        return Table(sample, people[0].body_only().name, rows)

    @property
    def count(self) -> int:
        """Number of the set's points."""
        return len(SETS[self.name])

    @property
    def points(self) -> Float[Tensor, "N M 3"]:
        """The people's named points, m, camera frame."""
        return self.sample.points[self.rows]

    @property
    def focal(self) -> Float[Tensor, "N"]:
        """Their focal lengths, px."""
        return self.sample.camera.focal[self.rows].mean(1)

    def scaled_place(self, unit: float) -> Float[Tensor, "N M 3"]:
        """Return the points of people who stand at `unit` times their place."""
        root = self.sample.root[self.rows][:, None]
        return self.points - root + unit * root

    @cached_property
    def detected(self) -> "Detected":
        """All that was detected in the photos of these people and in `others`, one person a row."""
        pixel, confidence = list[Tensor](), list[Tensor]()
        sizes: list[tuple[int, int]] = []
        first: dict[int, tuple[int, int]] = {}
        for index in sorted({*self.sample.frame[self.rows].tolist(), *self.others}):
            frame = self.sample.frames[index]
            people = None if frame.people is None or not len(frame.people) else frame.people.body_only()
            if people is None or people.name != self.name:
                continue
            first[index] = (len(sizes), len(people))
            pixel.append(people.pixel.float().nan_to_num(0.0))
            confidence.append(people.confidence.float())
            sizes += [frame.size] * len(people)
        if not pixel:
            return Detected(torch.zeros(0, self.count, 2), torch.zeros(0, self.count), torch.zeros(0, 2), first)
        return Detected(torch.cat(pixel), torch.cat(confidence), torch.tensor(sizes, dtype=torch.float32), first)

    def pairs(
        self,
        correction: KeypointCorrection | None = None,
        points: Float[Tensor, "N M 3"] | None = None,
        seen_in: Mapping[int, int] | None = None,
    ) -> Pairs:
        """Return people with their detected ones, names and axes corrected; matched by shape.

        Args:
            correction: What is undone to the keypoints.
            points: (N, M, 3) m in place of the people's own points.
            seen_in: Whose keypoints a photo takes, another photo's; who has none there has none. None: its own.
        """
        correction = correction or KeypointCorrection()
        camera = self.sample.camera[self.rows]
        projected = camera.project(self.points if points is None else points)
        place = {name: index for index, name in enumerate(self.sample.names)}
        source, own = renamed(correction, self.name, self.count, "the folder")
        used = [at for at, name in enumerate(own) if name in place and source[at] >= 0]
        mine, theirs = [place[own[at]] for at in used], [source[at] for at in used]
        projected, found = projected[:, mine], self.detected
        pixel, sure = placed(correction, found.pixel[:, theirs], found.size), found.confidence[:, theirs]
        rows, people = self._matched(projected, pixel, sure, seen_in)
        return Pairs(
            rows, projected[rows], pixel[people], sure[people] >= SURE, found.size[people], camera.center[rows]
        )

    def _matched(
        self, projected: Tensor, pixel: Tensor, sure: Tensor, seen_in: Mapping[int, int] | None
    ) -> tuple[Int[Tensor, "R"], Int[Tensor, "R"]]:
        """Return which of the table's people have a detected one, and which row of `detected` that is."""
        by_frame: dict[int, list[int]] = {}
        for row, index in enumerate(self.sample.frame[self.rows].tolist()):
            by_frame.setdefault(index, []).append(row)
        alike: dict[tuple[int, int], list[tuple[list[int], int]]] = {}  # photos with as many bodies and people
        for index, members in by_frame.items():
            start, count = self.detected.first.get(index if seen_in is None else seen_in.get(index, -1), (0, 0))
            if count:
                alike.setdefault((len(members), count), []).append((members, start))
        rows, people = [torch.zeros(0, dtype=torch.long)], [torch.zeros(0, dtype=torch.long)]
        for (_, count), photos in alike.items():
            bodies = torch.tensor([members for members, _ in photos])  # (F, B)
            there = torch.tensor([start for _, start in photos])[:, None] + torch.arange(count)  # (F, P)
            match = match_by_shape(projected[bodies], pixel[there], sure[there])
            known = match >= 0
            rows.append(bodies[known])
            people.append(there.gather(1, match.clamp(min=0))[known])
        chosen = torch.cat(rows)
        order = chosen.argsort()
        return chosen[order], torch.cat(people)[order]

    def left(self, pairs: Pairs, correction: KeypointCorrection | None = None) -> Float[Tensor, "N"]:
        """Return how far each person's points lie, in heights, places corrected; NaN for people without any.

        Args:
            pairs: People and their detected ones.
            correction: What is undone to places.
        """
        detected = None if correction is None else placed(correction, pairs.detected, pairs.size)
        return self.spread_out(pairs, pairs.distance(detected))

    def spread_out(self, pairs: Pairs, distance: Float[Tensor, "R"]) -> Float[Tensor, "N"]:
        """Return numbers (R,) of pairs as numbers of the table's people (N,), NaN for those without a pair."""
        full = torch.full((len(self.rows),), torch.nan)
        full[pairs.row] = distance
        return full
