"""DWPose's arrays, keypoints (P, 134, 2) px and scores (P, 134), in memory or in an npz or JSON of these names.

rtmlib's whole body with `to_openpose` is the same. The 134 are COCO-18's order (the neck made from the shoulders), 6
feet, 68 face points, left and right hand. Scores are maxima of SimCC vectors and may lie a little above 1.

Pixels are those of the RTMPose-like model behind it, trained on COCO-WholeBody (indices of pixels): they count from
pixel centres; half a pixel is added. (The dictionary with `bodies`, `hands` and `faces` that its painter takes has
lost the people's scores and is not read.)

Source: IDEA-Research/DWPose@98d727edea `ControlNet-v1-1-nightly/annotator/dwpose/wholebody.py`, `onnxpose.py`;
Tau-J/rtmlib@2f36e3b62d `rtmlib/tools/pose_estimation/post_processings.py` convert_coco_to_openpose,
`rtmlib/visualization/skeleton/openpose134.py`.
"""

from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.formats.rtmlib import pair_of, people_of_pair
from refine.keypoints.numbers import shape_of

POINTS = 134

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is a pair, or a mapping with `keypoints` and `scores`, of 134 points a person."""
    pair = pair_of(content)
    points = () if pair is None else shape_of(pair[0])
    return len(points) == 3 and points[1:] == (POINTS, 2)


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the detector's order, in the set "openpose137".

    Raises:
        InputError: The scores are of another number of people, or a number is infinite.
    """
    pair = pair_of(content)
    assert pair is not None
    return people_of_pair(*pair, "dwpose134", wanted)
