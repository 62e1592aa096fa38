"""What is special about a kind of body: a person's by its joints' names, another's as its file says."""

from dataclasses import replace

import pytest
import torch

from refine.body.anatomy import Anatomy, mirror_images, person
from refine.solve.observability import observe
from refine.trust.limbs import free_limbs
from tests.synthetic import random_body, random_state

DOG = Anatomy((0, 1, 2), {"tail": (2, 3)}, (0.1, 0.2, 0.3, 0.4), (0, 1, 2, 3))


@pytest.mark.parametrize(
    ("joint", "limb"),
    [
        ("pelvis", "trunk"), ("spine2", "trunk"), ("left_hip", "left leg"), ("right_foot", "right leg"), ("neck", "head"),  # noqa: E501
        ("jaw", "head"), ("left_eye_smplhf", "head"), ("left_collar", "left arm"), ("right_ring3", "right arm"),
        ("left_hand", "left arm"), ("nose_tip", "trunk"),
    ],
)  # fmt: skip
def test_a_joint_of_a_person_belongs_to_a_limb_or_the_trunk(joint: str, limb: str) -> None:
    found = person((joint,))
    assert found.limbs == ({} if limb == "trunk" else {limb: (0,)})
    assert found.trunk == ((0,) if limb == "trunk" else ())


def test_left_and_right_are_mirror_images() -> None:
    assert mirror_images(("nose", "LeftEye", "RightEye", "left_toe")) == (0, 2, 1, 3)


def test_a_person_is_read_from_its_joints(builtin_body) -> None:  # type: ignore[no-untyped-def]
    anatomy = builtin_body.anatomy
    assert anatomy.core_joints == tuple(range(22)) and anatomy.expressive == builtin_body.joint_names.index("jaw")
    assert all(anatomy.mirrored[anatomy.mirrored[joint]] == joint for joint in range(55))
    assert {len(anatomy.limbs[f"{side} arm"]) for side in ("left", "right")} == {19}


def test_an_animal_brings_its_own() -> None:
    body = replace(random_body(joints=4, vertices=20, faces=10), given_anatomy=DOG)
    assert body.anatomy is DOG and body.to(dtype=torch.float32).anatomy is DOG
    assert body.usual_sigma_rad.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    state = random_state(body, 2)
    assert observe(body, state, ()).unknowns.joints == (0, 1, 2)
    assert free_limbs(body, observe(body, state, ()).unknowns) == {"tail": [2]}
