"""The model file a source's numbers belong to, read the way the source means them.

    file           the family's, of the source's gender, where it is on this machine; else the built-in body
    coefficients   as many as the source has and the file holds; eleven are SMPL+A's where the child template lies
                   beside the file
    mean hand      hand poses stand on the model's mean hand, or on a flat one (`flat_hand_mean`): the stored joints
                   tell which

Without joints: coefficients of the hand space stand on the mean hand they were learned about, axis-angles on a flat
one.

Source: the package smplx, `body_models.py` (`pose_mean`, `use_pca`); age: Patel et al., AGORA, CVPR 2021 (SMPL+A).
"""

from dataclasses import replace
from pathlib import Path

import torch

from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.estimate import Source, as_array, as_tensor
from refine.transfer.source_fit import fit_bodies, hand_coefficients, hands_are_relative

PLAIN = 10
"""Coefficients every model file has; more are asked for by their number."""

AGED = 11
"""Ten shape coefficients and SMPL+A's age."""

SAME_RAD = 1e-4
"""Hands of `full_pose` that differ from the hand poses by less than this are the same (rounding of float32, text
files)."""


def own_body(source: Source) -> SkinnedBody:
    """Return the source's own model where its file is found (`refine.body.find_model`), else the built-in body.

    Args:
        source: What the regressor stored.

    Returns:
        The body, float32 on the CPU.
    """
    from refine.body.find_model import find_model
    from refine.body.load import load_body
    from refine.discover import modules

    family = modules("refine.body", "refine.body_models", having="LAYOUT").get(source.model)
    try:
        path = find_model(family.LAYOUT, source.gender) if family is not None else None
    except InputError:
        path = None
    return load_body("anny") if path is None else body_for(source, path)


def body_for(source: Source, name_or_path: str | Path) -> SkinnedBody:
    """Load a body the caller named so that the source's numbers mean on it what they should.

    Args:
        source: What the regressor stored.
        name_or_path: As for `refine.body.load.load_body`; a folder or a family's name is searched for the source's
            gender first.

    Returns:
        The body; of another family than the source's: as it is loaded by default.

    Raises:
        InputError: There is no such body, or its file is damaged.
    """
    body = _loaded(source, name_or_path)
    if body.model != source.model or not body.mean_pose.any():
        return body if body.flat_hand_mean else flat_handed(body)
    return body if _stands_on_mean_hand(source, body) else flat_handed(body)


def suits(source: Source, body: SkinnedBody) -> bool:
    """Say whether a body loaded by default is the one `body_for` would return for the source.

    Args:
        source: What the regressor stored.
        body: A body.

    Returns:
        False where coefficients would be cut, or where hand poses may stand on a mean hand.
    """
    if source.model != body.model:
        return True
    wide = (
        source.betas.shape[1] > body.shape_basis.shape[2] or source.expression.shape[1] > body.expression_basis.shape[2]
    )
    return not wide and source.gender == body.gender and not hands_are_relative(source)


def flat_handed(body: SkinnedBody) -> SkinnedBody:
    """Return the same body with `flat_hand_mean`."""
    return replace(body, mean_pose=torch.zeros_like(body.mean_pose), flat_hand_mean=True)


def _loaded(source: Source, name_or_path: str | Path) -> SkinnedBody:
    """Load with the mean hand, and with the source's gender and coefficients as far as the files have them."""
    from refine.body.load import families, load_body

    path = Path(name_or_path).expanduser()
    if not hasattr(families().get(str(name_or_path)), "LAYOUT") and not path.exists():
        return load_body(name_or_path)  # brings its own data, or is not there
    betas, expressions = (n if n > PLAIN else None for n in (source.betas.shape[1], source.expression.shape[1]))
    kid = path.with_name(f"{source.model}_kid_template.npy")
    choices = [
        (gender, None if age else shape, face, age)
        for gender in dict.fromkeys(("neutral",) if path.is_file() else (source.gender, "neutral"))
        for age in ((kid, None) if betas == AGED and kid.is_file() else (None,))
        for shape, face in dict.fromkeys(((betas, expressions), (betas, None), (None, expressions), (None, None)))
    ]
    for gender, shape, face, age in choices[:-1]:
        try:
            return load_body(
                name_or_path, gender=gender, betas=shape, expressions=face, flat_hand_mean=False, kid_template=age
            )
        except InputError:  # of that gender there is none, or it has fewer coefficients
            continue
    return load_body(name_or_path, flat_hand_mean=False)


def _stands_on_mean_hand(source: Source, body: SkinnedBody) -> bool:
    """Say whether the source's hand poses are added to the mean hand, which `body` has."""
    if not hands_are_relative(source):
        return False
    if source.hand_mean:
        return True
    coefficients = hand_coefficients(source)
    if "full_pose" in source.arrays:  # it has the mean, the hand poses beside it have not
        whole = as_tensor(source.arrays["full_pose"]).reshape(len(source), -1, 3)
        for side, name in enumerate(("left_hand_pose", "right_hand_pose")):
            if name in source.arrays and whole.shape[1] == source.pose.shape[1]:
                own = as_tensor(source.arrays[name]).reshape(len(source), -1)
                own = own @ body.hand_basis[side, : own.shape[1]].cpu() if side in coefficients else own
                part = whole[:, whole.shape[1] - 30 + 15 * side :][:, :15].flatten(1)
                return float((part - own).abs().max()) > SAME_RAD
    joints = len(body.joint_names)
    if source.joints is None or source.joints.shape[1] < joints:
        return bool(coefficients)
    fingers = as_array(source.joints[:, joints - 30 : joints] - source.joints[:, :1])
    apart = []
    for choice in (body, flat_handed(body)):
        posed = pose_body(choice, fit_bodies(source, choice).bodies).joints
        apart.append(abs(as_array(posed[:, joints - 30 :] - posed[:, :1]) - fingers).mean())
    return bool(apart[0] < apart[1])
