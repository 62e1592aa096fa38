"""How far human joints turn, in this library's frame: T-pose, identity joint frames, x left, y up, z front.

Angles are those of `priors.swing_twist`: the twist on the bone's axis, the swing on the two others. Ranges are written
for the left side; a rotation mirrored in the plane x = 0 keeps x and changes the sign of y and z, so the right side's
are (lower, upper) -> (-upper, -lower) on y and z.

Source: the tables named at each joint. AAOS: American Academy of Orthopaedic Surgeons, Joint Motion: Method of
Measuring and Recording, 1965, and Boone and Azen, J. Bone Joint Surg. 61-A(5):756-759, 1979, both as tabulated in
Norkin and White, Measurement of Joint Motion, appendix A (table A.1 shoulder, elbow, forearm, wrist, checked; for the
other joints table numbers differ between editions and the page is not known to us). Clinical tables measure one motion
at a time; a box over three angles must also hold motions combined (a flexed hip abducts to 75 degrees of this swing),
and a chain of few joints takes the whole motion of many. Where a range is wider than its table for such a reason it
says `widened`, and the width is that of the CMU recordings (mocap.cs.cmu.edu, subjects 1 to 3, 7,789 frames).
"""

from dataclasses import dataclass

Degrees = tuple[float | int, float | int]


@dataclass(frozen=True)
class JointRange:
    """The range of one joint of the left side or the middle, in degrees.

    Attributes:
        bone: 0, 1 or 2: the axis the bone lies along, which carries the twist.
        x: Lowest and highest angle on x.
        y: Lowest and highest angle on y.
        z: Lowest and highest angle on z.
        source: The table, in words, which motion is which sign, and what was widened.
    """

    bone: int
    x: Degrees
    y: Degrees
    z: Degrees
    source: str

    def mirrored(self) -> "JointRange":
        """Return the range of the same joint on the other side."""
        return JointRange(self.bone, self.x, (-self.y[1], -self.y[0]), (-self.z[1], -self.z[0]), self.source)


_KNUCKLE = JointRange(
    0,
    (-20, 20),
    (-25, 25),
    (-90, 45),
    "AAOS, hand, MCP: flexion (-z) 90, extension (+z) 45; abduction 25 and passive twist 20: Kapandji, Physiology of "
    "the Joints, vol. 1, "
    "the hand, page unknown",
)
_MIDDLE = JointRange(
    0, (-10, 10), (-10, 10), (-110, 10), "AAOS, hand, PIP: flexion (-z) 100, extension 0; ± 10 of play, our judgement"
)
_TIP = JointRange(
    0,
    (-10, 10),
    (-10, 10),
    (-90, 15),
    "AAOS, hand, DIP: flexion (-z) 90, extension (+z) 0 to 10; ± 10 of play, our judgement",
)

HUMAN_RANGES: dict[str, JointRange] = {
    "hip": JointRange(
        1,
        (-120, 30),
        (-45, 55),
        (-30, 75),
        "AAOS, hip: flexion (-x) 120, extension (+x) 30, medial (-y) and lateral (+y) rotation 45, adduction (-z) 30, "
        "abduction (+z) 45; "
        "lateral rotation widened to 55, abduction to 75 (in flexion)",
    ),
    "knee": JointRange(
        1,
        (-5, 155),
        (-20, 20),
        (-10, 10),
        "Boone and Azen 1979, knee: flexion (+x) 142, AAOS 135, extension (-x) to 10; hyperextension kept to 5; "
        "flexion widened to 155 "
        "(squatting on the heels); rotation (y) 30 to 40 when flexed, none when straight: Kapandji, vol. 2, the knee, "
        "page unknown, here 20 "
        "for both; play sideways (z) 10, our judgement",
    ),
    "ankle": JointRange(
        1,
        (-45, 55),
        (-45, 45),
        (-25, 25),
        "AAOS, ankle: dorsiflexion (-x) 20, plantar flexion (+x) 50, inversion 35, eversion 15 (here about y and z); "
        "dorsiflexion widened to "
        "45 and rotation (y) to 45: the recordings' foot frames are a few degrees off and squatting loads the ankle",
    ),
    "foot": JointRange(
        2,
        (-70, 70),
        (-20, 20),
        (-20, 20),
        "AAOS, great toe MTP: extension (-x) 70, flexion (+x) 45; flexion widened to 70; y and z 20, our judgement",
    ),
    "spine1": JointRange(
        1,
        (-15, 75),
        (-20, 20),
        (-25, 25),
        "AAOS, thoracic and lumbar spine together: flexion (+x) 80, extension (-x) 25, lateral bending (z) 35, "
        "rotation (y) 45, shared by "
        "three joints; the recordings put most flexion here",
    ),
    "spine2": JointRange(
        1, (-20, 30), (-25, 25), (-20, 20), "as spine1; widened: the sum over three joints exceeds the table"
    ),
    "spine3": JointRange(
        1, (-35, 20), (-20, 20), (-30, 30), "as spine1; widened: the sum over three joints exceeds the table"
    ),
    "neck": JointRange(
        1,
        (-45, 45),
        (-40, 40),
        (-45, 45),
        "AAOS, cervical spine: flexion (+x) and extension (-x) 45, lateral bending (z) 45, rotation (y) 60, shared by "
        "neck and head",
    ),
    "head": JointRange(
        1,
        (-60, 70),
        (-60, 60),
        (-65, 65),
        "as neck; widened (hanging and climbing people look up and down, and the recordings counter the neck's bend "
        "here)",
    ),
    "collar": JointRange(
        0,
        (-30, 30),
        (-30, 30),
        (-15, 45),
        "Neumann, Kinesiology of the Musculoskeletal System, sternoclavicular joint, page unknown: elevation (+z) 45, "
        "depression (-z) 10, "
        "protraction (-y) and retraction (+y) 30, rotation (x) 30; not seen in the recordings, whose collars do not "
        "move",
    ),
    "shoulder": JointRange(
        0,
        (-150, 100),
        (-135, 60),
        (-105, 100),
        "AAOS, shoulder (table A.1), from arms held out: abduction 180 (+z 90), arm down across the body (-z) 105, "
        "horizontal adduction (-y) "
        "135, abduction (+y) 45; rotation (x) medial 70 and lateral 90 about a middle that depends on elevation "
        "(Codman), widened to 150 (hanging "
        "by straight arms) and 100; +y widened to 60, +z to 100 since the shoulder carries the collar's share in "
        "estimates",
    ),
    "elbow": JointRange(
        0,
        (-90, 60),
        (-150, 5),
        (-15, 75),
        "AAOS, elbow (table A.1): flexion 150, extension 0, here mostly -y; Boone and Azen 143. The hinge of an arm "
        "held out palm down is "
        "tilted up to 30 degrees, so flexion shows on +z to 75; hyperextension 5 on y, 15 on z. Twist (x): a "
        "share of the forearm's 80 pronation and 80 supination",
    ),
    "wrist": JointRange(
        0,
        (-95, 95),
        (-68, 65),
        (-80, 80),
        "AAOS, wrist (table A.1): flexion (-z) 80, extension (+z) 70, radial (-y) 20 and ulnar (+y) deviation 30; "
        "forearm pronation and "
        "supination (x) 80; widened on all axes, since the recordings' hands are coarse",
    ),
    **{
        f"{finger}{joint}": value
        for finger in ("index", "middle", "ring", "pinky")
        for joint, value in ((1, _KNUCKLE), (2, _MIDDLE), (3, _TIP))
    },
}
"""Ranges by joint name without its side. Joints that are not here (pelvis, thumbs, jaw, eyes) are not limited."""
