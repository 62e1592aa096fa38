"""The sample laid out so that a supposed fault costs a few operations: detected people in one tensor, few people where there are many."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.keypoint_names import SETS
from refine.corrections import KeypointCorrection, placed, renamed
from refine.detections import SURE
from refine.diagnosis.pairs import Pairs, match_by_shape
from refine.diagnosis.sample import Sample

MOST_PEOPLE = 400
"""People looked at, evenly from all: a fault of the folder shows in them as well."""


@dataclass(frozen=True, eq=False)
class Table:
    """Some people of a sample beside all that was detected in their photos.

    Attributes:
        sample: All people.
        name: The keypoint set, of the body's own points.
        rows: (N,) the people looked at.
    """

    sample: Sample
    name: str
    rows: Tensor

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
    def _detected(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Points and confidences of each frame's people, of the table's set."""
        found = {}
        for index in set(self.sample.frame[self.rows].tolist()):
            people = self.sample.frames[index].people
            if people is None or not len(people):
                continue
            people = people.body_only()
            if people.name == self.name:
                found[index] = (people.pixel.float().nan_to_num(0.0), people.confidence.float())
        return found

    def pairs(
        self,
        correction: KeypointCorrection | None = None,
        points: Float[Tensor, "N M 3"] | None = None,
    ) -> Pairs:
        """Return people with their detected ones, names and axes corrected; matched by shape.

        Args:
            correction: What is undone to the keypoints.
            points: (N, M, 3) m in place of the people's own points.
        """
        correction = correction or KeypointCorrection()
        camera = self.sample.camera[self.rows]
        projected = camera.project(self.points if points is None else points)
        place = {name: index for index, name in enumerate(self.sample.names)}
        source, own = renamed(correction, self.name, self.count, "the folder")
        used = [at for at, name in enumerate(own) if name in place and source[at] >= 0]
        mine, theirs = [place[own[at]] for at in used], [source[at] for at in used]
        projected = projected[:, mine]
        frame = self.sample.frame[self.rows].tolist()
        by_frame: dict[int, list[int]] = {}
        for row, index in enumerate(frame):
            by_frame.setdefault(index, []).append(row)
        rows: list[int] = []
        pixel, known, sizes = [], [], []
        for index, members in by_frame.items():
            if index not in self._detected:
                continue
            size = self.sample.frames[index].size
            seen, sure = (part[:, theirs] for part in self._detected[index])
            seen = placed(correction, seen, size)
            match = match_by_shape(projected[members], seen, sure)
            for row, person in zip(members, match.tolist(), strict=True):
                if person >= 0:
                    rows.append(row)
                    pixel.append(seen[person])
                    known.append(sure[person] >= SURE)
                    sizes.append(size)
        if not rows:
            empty = projected.new_zeros(0, len(used), 2)
            return Pairs(torch.zeros(0, dtype=torch.long), empty, empty, empty[..., 0] > 0, empty[:, 0], empty[:, 0])
        chosen = torch.tensor(rows)
        return Pairs(
            chosen, projected[chosen], torch.stack(pixel), torch.stack(known),
            torch.tensor(sizes, dtype=torch.float32), camera.center[chosen],
        )  # fmt: skip

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
