"""People of a set, each drawn once: who they are, who else might stand there, and photos that show nothing.

One person a photo, so that `image_index` says who a body is in any order and selection. The photos are black and take
no memory: evidence comes from what is known of the people (`refine.evaluate.harm.evidence`), not from pixels.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.estimate import Estimate
from refine.evaluate.disturbance import as_estimate
from refine.evaluate.harm.estimates import OWN, estimates_of
from refine.evaluate.harm.people import People, other_people, true_people
from refine.photo import Photo
from refine.render import shade
from refine.state import State


@dataclass(frozen=True)
class Scene:
    """B people of a set.

    Attributes:
        body: The built-in body.
        people: Which set.
        true: The people as they are.
        first: Place of the first of them in the set: all that is drawn for a person goes by it, not by the batch.
        own: Estimates that are given, B bodies of the same model; None: estimates are drawn.
        own_other: With them, somebody else in everybody's place.
    """

    body: SkinnedBody
    people: People
    true: State
    first: int = 0
    own: State | None = None
    own_other: State | None = None

    @property
    def seed(self) -> int:
        """Seed of the first person."""
        return self.people.seed + self.first

    def __len__(self) -> int:
        return len(self.true)

    @cached_property
    def other(self) -> State:
        """Somebody else in everybody's place."""
        return self.own_other or other_people(self.body, self.people, self.true, self.first)

    @cached_property
    def vertices(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) m, of the true people."""
        return pose_body(self.body, self.true.bodies).vertices

    @cached_property
    def normals(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) of the true people's surface."""
        return shade.vertex_normals(self.vertices, self.body.faces)

    @cached_property
    def other_vertices(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) m, of the other people."""
        return pose_body(self.body, self.other.bodies).vertices

    def photos(self) -> tuple[Photo, ...]:
        """Return one black photo a person."""
        sizes = self.true.camera.size.round().int().tolist()
        return tuple(Photo(np.broadcast_to(np.uint8(0), (height, width, 3))) for height, width in sizes)

    def case(self, kind: str) -> "Case":
        """Return the people as a regressor saw them; the same for the same kind.

        Args:
            kind: One of `refine.evaluate.harm.estimates.ESTIMATES`, or "own" where estimates are given.

        Raises:
            InputError: There is no such kind.
        """
        if kind == OWN and self.own is not None:
            state = self.own
        else:
            state = estimates_of(self.body, self.true, kind, self.seed, self.first)
        return Case(self, kind, as_estimate(self.body, state), self.photos())


@dataclass(frozen=True)
class Case:
    """People and what a regressor said of them.

    Attributes:
        scene: The people.
        kind: The estimate's kind.
        estimate: B bodies, body b in photo b.
        photos: B photos.
    """

    scene: Scene
    kind: str
    estimate: Estimate
    photos: tuple[Photo, ...]

    @property
    def true(self) -> State:
        """The people as they are."""
        return self.scene.true

    def __len__(self) -> int:
        return len(self.estimate)


def make_scene(body: SkinnedBody, people: People, count: int) -> Scene:
    """Draw a scene.

    Args:
        body: The built-in body.
        people: Which set.
        count: B; the first ones are the same however many are wanted.
    """
    return Scene(body, people, true_people(body, people, count))
