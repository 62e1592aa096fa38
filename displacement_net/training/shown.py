"""What the network is trained with: crops, the renderings of their estimates, and what is true of them."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor


@runtime_checkable
class Shown(Protocol):
    """What a sample must say to be learnt from; `Crops` says just this."""

    @property
    def image(self) -> Float[Tensor, "B 3 S S"]:
        """RGB in 0..1, black outside the photo."""
        ...

    @property
    def normals(self) -> Float[Tensor, "B 3 S S"]:
        """Unit normals of the rendered estimate, camera frame."""
        ...

    @property
    def depth(self) -> Float[Tensor, "B 1 S S"]:
        """Its depth, m; only differences matter."""
        ...

    @property
    def colors(self) -> Float[Tensor, "B 3 S S"]:
        """Its rest-pose colours, 0..1."""
        ...

    @property
    def texture(self) -> Float[Tensor, "B 3 S S"]:
        """Its textured rendering, RGB in 0..1."""
        ...

    @property
    def confidence(self) -> Float[Tensor, "B 1 S S"]:
        """What that is worth, 0..1; zero where no texture is known."""
        ...

    @property
    def offset(self) -> Float[Tensor, "B S S 2"]:
        """Px, from each rendered pixel to where its surface point lies in the crop."""
        ...

    @property
    def foreground(self) -> Bool[Tensor, "B S S"]:
        """Where the estimate is rendered."""
        ...

    @property
    def visible(self) -> Bool[Tensor, "B S S"]:
        """Where the surface point is seen in the photo: neither hidden nor outside."""
        ...

    @property
    def person(self) -> Float[Tensor, "B 4 S S"] | None:
        """One where the photo shows the person, and there the rest-pose colours, 0..1; None: not known."""
        ...


@runtime_checkable
class SampleSource(Protocol):
    """Where samples come from."""

    def batch(self, seed: int, count: int) -> Shown:
        """Return `count` samples, the same for the same seed and count."""
        ...


@dataclass(frozen=True, eq=False)
class Crops:
    """B samples: what `Shown` asks for and nothing more."""

    image: Float[Tensor, "B 3 S S"]
    normals: Float[Tensor, "B 3 S S"]
    depth: Float[Tensor, "B 1 S S"]
    colors: Float[Tensor, "B 3 S S"]
    texture: Float[Tensor, "B 3 S S"]
    confidence: Float[Tensor, "B 1 S S"]
    offset: Float[Tensor, "B S S 2"]
    foreground: Bool[Tensor, "B S S"]
    visible: Bool[Tensor, "B S S"]
    person: Float[Tensor, "B 4 S S"] | None
