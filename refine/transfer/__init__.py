"""From the regressor's body model to the one that is refined, and back."""

from refine.transfer.back import RefinedSource, found_texts, refined_source, source_parameters, with_found
from refine.transfer.forward import on_body, on_trial, to_body, with_camera
from refine.transfer.frames import in_camera, in_world

__all__ = [
    "RefinedSource",
    "found_texts",
    "in_camera",
    "in_world",
    "on_body",
    "on_trial",
    "refined_source",
    "source_parameters",
    "to_body",
    "with_camera",
    "with_found",
]
