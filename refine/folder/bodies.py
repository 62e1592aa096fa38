"""Body models of a run: each loaded once, so that people of many files can be solved in one batch.

Bodies are told apart by name, origin and size, not by identity: every file that is read may load its own.
"""

from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.inputs.prepared import Prepared
from refine.transfer import on_body
from refine.transfer.source_body import body_for, suits


class BodyShelf:
    """Loads and remembers body models."""

    def __init__(self, body_model: str | Path | None) -> None:
        self._named = body_model
        self._kept: dict[tuple[object, ...], SkinnedBody] = {}
        self._moved: dict[tuple[object, ...], SkinnedBody] = {}

    @cached_property
    def given(self) -> SkinnedBody | None:
        """The model to read results on: the one named; the built-in one where this machine has no other; else None."""
        from refine.body.load import load_body

        if self._named is not None:
            return self._keep(load_body(self._named))
        return None if _official_models() else self._keep(load_body("anny"))

    def on_its_body(self, estimate: Estimate) -> Estimate:
        """Return an estimate on the model its numbers are of, the same object for all that have the same model."""
        if self._named is not None and not suits(estimate.source, estimate.body):
            estimate = on_body(estimate, body_for(estimate.source, self._named))
        return replace(estimate, body=self._keep(estimate.body))

    def on_device(self, prepared: Prepared, device: str) -> Prepared:
        """Return prepared bodies on another device, their model copied there once."""
        body, dtype = prepared.estimate.body, prepared.estimate.bodies.pose.dtype
        key = (_key(body), device, dtype)
        if key not in self._moved:
            self._moved[key] = body.to(device, dtype)
        return prepared.to(device, self._moved[key])

    def _keep(self, body: SkinnedBody) -> SkinnedBody:
        return self._kept.setdefault(_key(body), body)


def _key(body: SkinnedBody) -> tuple[object, ...]:
    """Return what tells bodies apart."""
    sizes = tuple(body.template.shape), body.shape_basis.shape[2], body.expression_basis.shape[2]
    mean = float(body.mean_pose.abs().sum())
    return (
        body.name,
        body.model,
        tuple(sorted(body.provenance.items())),
        sizes,
        body.flat_hand_mean,
        mean,
        body.template.dtype,
    )


def _official_models() -> tuple[Path, ...]:
    """Return the official model files of this machine."""
    from refine.body.find_model import GENDERS, find_model
    from refine.discover import modules

    found = []
    for family, gender in product(modules("refine.body", "refine.body_models", having="LAYOUT").values(), GENDERS):
        try:
            found.append(find_model(family.LAYOUT, gender))
        except InputError:  # not on this machine
            continue
    return tuple(found)
