"""3D human bodies that really lie on the people in the image.

result = refine.fit("photo.jpg", "romp.npz", keypoints="photo_keypoints.json")
result.overlay(); result.vertices; result.smplx(); result.save("photo_refined.npz")
"""

from refine import starting  # noqa: F401  # before what takes its time to import
from refine.api import fit, load, read
from refine.conversion import Converted, convert
from refine.errors import InputError, MissingExtra
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.inputs.keypoint_files import read_keypoints
from refine.keypoints.detections import DetectedPeople, Detections
from refine.plugin.attachment import attach, detach
from refine.refiner import Refiner
from refine.result import Result
from refine.solve import Solution, StopReason
from refine.state import Bodies, State, Unknowns
from refine.trust.gate import Gate
from refine.video import fit_video

__version__ = "0.1.0"

__all__ = [
    "Bodies",
    "Camera",
    "Converted",
    "DetectedPeople",
    "Detections",
    "Estimate",
    "Gate",
    "InputError",
    "MissingExtra",
    "Refiner",
    "Result",
    "Solution",
    "Source",
    "State",
    "StopReason",
    "Unknowns",
    "__version__",
    "attach",
    "convert",
    "detach",
    "fit",
    "fit_video",
    "load",
    "read",
    "read_keypoints",
]
