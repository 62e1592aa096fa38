"""Two lines in an inference script: a regressor that returns refined output of its own type.

    model = refine.attach(model, "hmr2", keypoints="keypoints")
    out = model(batch)              # as before, refined

    output -> estimate (the adapter) -> refined -> output of the same type (the adapter)

`attach` registers a forward hook and nothing else: the model stays the same object, with its parameters, state_dict,
device and mode. In training mode, and where nobody is found, the output passes through untouched. Refinement builds no
graph: what it renews carries no gradient, what it does not renew is the model's own tensor.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from refine.ambient import usual_torch
from refine.api import fit_prepared, usual_refiner
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, as_tensor
from refine.inputs.checks import checked
from refine.inputs.estimates import Given
from refine.inputs.prepared import Prepared, prepare
from refine.keypoints.detections import Detections
from refine.photo import Photo, read_photos
from refine.plugin.adapters import Regressor
from refine.plugin.adapters.find import regressor
from refine.refiner import Refiner
from refine.state import State

LOGGER = logging.getLogger("refine")

Model = TypeVar("Model", bound=nn.Module)

FIRST = "img"
"""The name a bare first tensor of the model's call gets in the batch."""


@dataclass
class Attachment:
    """What `attach` hangs on a model: the hook, and what it was told.

    Attributes:
        adapter: Turns outputs into estimates and back.
        refiner: The method's parts and settings.
        batch: From the model's arguments to the adapter's batch, or None.
        images: From the batch to the photos, or None.
        keypoints: A name in the batch, or a function of batch and estimate, or None.
        body: The model that is refined; None: as the adapter chooses.
        there: The body of the last call, on the device it was refined on.
        doubted: Kinds of doubt that were voiced: each is once, not at every call.
    """

    adapter: Any
    refiner: Refiner
    batch: Callable[..., Mapping[str, Any]] | None
    images: Callable[[Mapping[str, Any]], Sequence[Any]] | None
    keypoints: str | Callable[[Mapping[str, Any], Estimate], Any] | None
    body: SkinnedBody | None = None
    there: SkinnedBody | None = None
    doubted: set[str] = field(default_factory=set)

    def __call__(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Return the refined output, or None where the output stays as it is."""
        if model.training or self.adapter.people(output) == 0:
            return None
        # Inference mode's tensors cannot be written to later, and half precision is too little to solve in.
        with usual_torch(), torch.no_grad():
            batch = _own(self._batch(args, kwargs))
            output = _own(output)
            estimate = checked(self.adapter.estimate(output, batch, body=self.body))
            self.body = estimate.body  # loaded once
            refined = self._refined(batch, estimate, _device_of(output))
            return self.adapter.refined_output(output, refined, model=model)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Attachment":
        """A copied model gets the same attachment; it has no state of the model's."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Be stored with the model: modules by name."""
        adapter = self.adapter.__name__ if isinstance(self.adapter, ModuleType) else self.adapter
        return self.__dict__ | {"adapter": adapter, "there": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come back from storage."""
        from importlib import import_module

        adapter = state["adapter"]
        self.__dict__.update(state | {"adapter": import_module(adapter) if isinstance(adapter, str) else adapter})

    def _batch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return what the model was called with as one mapping."""
        if self.batch is not None:
            return dict(self.batch(*args, **kwargs))
        found: dict[str, Any] = {}
        for place, value in enumerate(args):
            if isinstance(value, Mapping):
                found |= value
            elif place == 0:
                found[FIRST] = value
        return found | kwargs

    def _refined(self, batch: Mapping[str, Any], estimate: Estimate, device: torch.device) -> Estimate:
        """Return the estimate refined, its own camera kept."""
        photos = () if self.images is None else read_photos(list(self.images(batch)))
        prepared = prepare(estimate, Given(photos), self._keypoints(batch, estimate))
        self._voice_doubts(prepared)
        crops = self.images is None and self.refiner.displacer is not None
        if crops:
            prepared = _in_the_crops(self.adapter, batch, prepared)
        fitted = fit_prepared(prepared.to(device, self._body_on(estimate.body, device)), refiner=self.refiner)
        state = fitted.rounds[-1].state.to("cpu")
        return replace(estimate, state=State(state.bodies, estimate.camera if crops else state.camera))

    def _voice_doubts(self, prepared: Prepared) -> None:
        """Warn of what looks wrong in camera, keypoints and people, each kind at the first call that has it."""
        for doubt in prepared.doubts:
            if doubt.kind not in self.doubted:
                self.doubted.add(doubt.kind)
                LOGGER.warning("%s", doubt.sentence)

    def _body_on(self, body: SkinnedBody, device: torch.device) -> SkinnedBody:
        """Return the body on a device; it is by far the largest part, and moved once."""
        like = self.there.template if self.there is not None else None
        if self.there is None or like is None or (like.device, like.dtype) != (device, body.template.dtype):
            self.there = body.to(device)
        return self.there

    def _keypoints(self, batch: Mapping[str, Any], estimate: Estimate) -> object:
        """Return the keypoints of the bodies, in px of the photo; None where there are none."""
        if self.keypoints is None:
            return None
        found = batch.get(self.keypoints) if isinstance(self.keypoints, str) else self.keypoints(batch, estimate)
        return found if found is None or isinstance(found, Detections | np.ndarray) else as_tensor(found)


def attach(
    model: Model,
    adapter: str | Regressor | ModuleType,
    refiner: Refiner | None = None,
    *,
    batch: Callable[..., Mapping[str, Any]] | None = None,
    images: Callable[[Mapping[str, Any]], Sequence[Any]] | None = None,
    keypoints: str | Callable[[Mapping[str, Any], Estimate], Any] | None = "keypoints",
    body_model: SkinnedBody | None = None,
) -> Model:
    """Make a regressor return refined output of its own type.

    Args:
        model: Any module whose output the adapter knows. It is returned itself; `detach` undoes this.
        adapter: A name ("hmr2", "spin", ...: `refine.plugin.adapters`), or a module or object with `people`, `estimate`
            and `refined_output`.
        refiner: The method's parts and settings; one with a displacer looks at photos, the default at keypoints only.
        batch: Called with the model's arguments, returns the mapping the adapter wants. None: the mappings among the
            arguments are merged, keyword arguments go under their names, and a bare first tensor under "img".
        images: From that mapping to the photos, by the estimate's `image_index`: paths or RGB arrays. None: a displacer
            is shown what the network was shown, its normalisation undone (the adapter's `pictures`).
        keypoints: The name in the mapping under which 2D keypoints lie, or a function of the mapping and the estimate
            that returns them: (B, K, 3) of x, y in px of the photo and confidence, or `Detections`, in the order of the
            bodies. Where there are none, nothing but a displacer can move a body.
        body_model: The model that is refined; None: the regressor's own where its file is found, else the built-in
            body.

    Returns:
        The same model.

    Raises:
        InputError: Something is not of the kind its name says, or the model has an attachment already. When called, the
            model raises one where the adapter misses something in the batch.
    """
    if not isinstance(model, nn.Module):
        raise InputError("model", "a torch.nn.Module", type(model).__name__)
    if refiner is not None and not isinstance(refiner, Refiner):
        raise InputError("refiner", "a refine.Refiner or None", type(refiner).__name__)
    for name, function in (("batch", batch), ("images", images)):
        if function is not None and not callable(function):
            raise InputError(name, "a function or None", type(function).__name__)
    if keypoints is not None and not isinstance(keypoints, str) and not callable(keypoints):
        raise InputError("keypoints", "a name, a function or None", type(keypoints).__name__)
    found = regressor(adapter) if isinstance(adapter, str) else adapter
    if isinstance(found, type) or not isinstance(found, Regressor):
        got = getattr(found, "__name__", type(found).__name__)
        raise InputError("adapter", "a name, or something with people, estimate and refined_output", got)
    if _attachments(model):
        raise InputError(
            "model", "a model without an attachment", "one that has one", "Call refine.detach(model) first."
        )
    hook = Attachment(found, refiner or usual_refiner(keypoints is not None), batch, images, keypoints, body_model)
    model.register_forward_hook(hook, with_kwargs=True)
    return model


def detach(model: Model) -> Model:
    """Take the attachment off: the model returns its own output again.

    Args:
        model: A model `attach` returned; without an attachment nothing happens.

    Returns:
        The same model.
    """
    for key in _attachments(model):
        del model._forward_hooks[key]
        model._forward_hooks_with_kwargs.pop(key, None)
    return model


def _attachments(model: nn.Module) -> list[int]:
    """Return the keys of our hooks on a model (a stored and loaded model has no handle of them)."""
    return [key for key, hook in model._forward_hooks.items() if isinstance(hook, Attachment)]


def _in_the_crops(adapter: Any, batch: Mapping[str, Any], prepared: Prepared) -> Prepared:
    """Return prepared bodies in what the network was shown: its pictures as photos, cameras and keypoints in their px.

    Raises:
        InputError: The adapter has no pictures, or not as many as bodies.
    """
    estimate, found = prepared.estimate, prepared.detections
    pictures = getattr(adapter, "pictures", None)
    if pictures is None or "box" not in estimate.source.arrays:
        raise InputError(
            "images", "photos for the refiner's displacer to look at", "none", "Give attach a function: images=..."
        )
    shown = tuple(Photo(np.asarray(picture)) for picture in pictures(batch))
    count = len(estimate)
    if len(shown) not in (1, count):
        raise InputError(
            "pictures", f"one picture, or {count}, one a body", str(len(shown)), "Give attach the photos: images=..."
        )
    index = torch.arange(count) if len(shown) == count else torch.zeros(count, dtype=torch.long)
    box = as_tensor(estimate.source.arrays["box"])
    size = torch.tensor([shown[picture].size for picture in index.tolist()], dtype=torch.float32)
    scale = size.flip(-1) / box[:, 2:]
    new_from_old = torch.cat((torch.diag_embed(scale), (-box[:, :2] * scale)[..., None]), 2)
    camera = estimate.camera.transformed(new_from_old.to(estimate.camera.focal), size.to(estimate.camera.focal))
    if found is not None:
        to_crop = new_from_old.to(found.pixel)
        found = replace(found, pixel=found.pixel * to_crop[:, None, [0, 1], [0, 1]] + to_crop[:, None, :, 2])
    moved = replace(estimate, state=State(estimate.bodies, camera), image_index=index)
    return replace(prepared, estimate=moved, photos=shown, detections=found)


def _device_of(output: Any) -> torch.device:
    """Return the device of the first tensor in an output."""
    for value in _tensors(output):
        return value.device
    return torch.device("cpu")


def _tensors(value: Any) -> Sequence[Tensor]:
    """Return all tensors in nested mappings and sequences."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _own(value: Any) -> Any:
    """Return nested mappings and sequences with inference-mode tensors copied; all else is the same object."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if not any(tensor.is_inference() for tensor in _tensors(value)):
        return value
    if isinstance(value, Mapping):
        return {name: _own(part) for name, part in value.items()}
    parts = [_own(part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
