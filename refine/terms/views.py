"""Views: the camera an image term sees the bodies with, their own or one of its own.

Several calibrated cameras are several terms, each with its own fixed camera in the frame of the bodies; a free focal
length is that of the bodies' camera and does not act on them.

Source: derived here.
"""

from refine.geometry.camera import Camera
from refine.state import State, Unknowns


def seen_with(own: Camera | None, state: State, unknowns: Unknowns) -> tuple[Camera, slice]:
    """Return the cameras of a term, and the columns of their log-focal.

    Args:
        own: The term's B cameras; None: it has none.
        state: B bodies and their cameras.
        unknowns: The columns.

    Returns:
        B cameras in the device and dtype of the bodies, and `Unknowns.focal_column`, empty for cameras of its own.
    """
    if own is None:
        return state.camera, unknowns.focal_column
    start = unknowns.focal_column.start
    return own.to(state.bodies.pose.device, state.bodies.pose.dtype), slice(start, start)
