"""MoveNet's output tensors, which are refused with what to pass instead: they do not say where in the photo they are.

    single person (1, 1, 17, 3) y, x, score;   several (1, 6, 56): 17 · (y, x, score), a box, its score

y and x are shares of what went into the network, a square the photo was padded or squeezed to: only the caller knows
which.

Pixels: shares count from the corner.

Source: tensorflow.org/hub/tutorials/movenet (input and output of the models, `tf.image.resize_with_pad`).
"""

from typing import NoReturn

from refine.errors import InputError
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.numbers import shape_of

SHAPES = ((1, 1, 17, 3), (1, 6, 56))

ADVICE = (
    "y and x are shares of the square that went in. If the photo was padded to it (tf.image.resize_with_pad): "
    "side = max(H, W); y, x = out[0, 0, :, 0] * side - (side - H) / 2, out[0, 0, :, 1] * side - (side - W) / 2; "
    "keypoints=(np.stack([x, y], -1)[None], out[0, :, :, 2]). If it was squeezed: x * W, y * H."
)

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is an array of MoveNet's shapes."""
    return shape_of(content) in SHAPES


def read(content: object, wanted: Wanted) -> NoReturn:
    """Refuse the output, with the conversion.

    Raises:
        InputError: Always.
    """
    got = f"MoveNet's output {shape_of(content)} of y, x, score"
    raise InputError(f"keypoints of {wanted.origin}", "points in pixels of the photo", got, ADVICE)
