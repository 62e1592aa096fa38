"""What to look at next: which further click, measure or camera would make the result surest; and then the click.

    python examples/15_what_to_look_at_next.py

The posterior knows what is uncertain, and how a click would change it, before anybody clicks: the drop does not depend
on where the click will be.
"""

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.result.next_evidence import ClickOn, Height, SeenBy, camera_beside
from refine.terms.clicks import Click, clicks


def main() -> dict[str, float]:
    """Ask, click where it helps most, and return the standard deviations (mm) before, foretold and found."""
    scene = make_scene(anny.load(), count=1, seed=2)
    photo, estimate, true = scene.photos[0].pixels, scene.estimate, scene.true

    # The first evidence: somebody clicked on hips and shoulders.
    first = [
        Click(name, tuple(true.keypoints_2d("coco17")[0, place].tolist()))
        for place, name in enumerate(true.body.keypoint_set("coco17").names)
        if name.endswith(("hip", "shoulder"))
    ]
    start = refine.fit(photo, estimate, evidence=[clicks(estimate.body, estimate.state, first)])

    # What would help? Clicks, a measured height, a camera at the person's side; the best comes first.
    wrists = [ClickOn(f"{side}_{limb}") for side in ("left", "right") for limb in ("wrist", "ankle", "knee")]
    beside = SeenBy(camera_beside(start.body, start.state, 90.0), "a camera at the side")
    gains = start.next_evidence([*wrists, Height(), beside])
    for gain in gains:
        print(f"{gain.candidate.name:28} ±{float(gain.before_mm):.0f} mm -> ±{float(gain.after_mm):.0f} mm")

    # Do the best click, and look whether it came so.
    best = next(gain for gain in gains if isinstance(gain.candidate, ClickOn))
    point = str(best.candidate.point)  # type: ignore[attr-defined]
    place = true.body.joint_names.index(point)
    pixel = true.camera.project(true.joints[:, place : place + 1])[0, 0]
    more = [*first, Click(point, tuple(pixel.tolist()))]
    second = refine.fit(photo, estimate, evidence=[clicks(estimate.body, estimate.state, more)])
    found = float(second.next_evidence([Height()])[0].before_mm)
    print(f"after {best.candidate.name}: ±{found:.0f} mm, foretold ±{float(best.after_mm):.0f} mm")
    return {"before": float(best.before_mm), "foretold": float(best.after_mm), "found": found}


if __name__ == "__main__":
    main()
