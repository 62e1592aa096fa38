"""Point clouds: a body is fitted to a depth sensor's view, and to a full scan.

    python examples/14_point_cloud.py

Closest points both ways, found anew at every step. `refine fit ... --points3d scan.ply` does the same with a file. A
body that stands far from its cloud is brought near as a whole first; points of the room are left out.
"""

import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.render import shade
from refine.terms.clouds import point_cloud

ROOM = 500


def main() -> dict[str, float]:
    """Refine one person by a view and by a scan; return the mean error of the vertices (mm) under each."""
    scene = make_scene(anny.load(), count=1, seed=1)
    estimate, true, photo = scene.estimate, scene.true, scene.photos[0].pixels
    skin = true.vertices[0]  # (V, 3) m, the camera's frame
    normal = shade.vertex_normals(true.vertices, true.body.faces)[0]
    draw = torch.Generator().manual_seed(0)
    noisy = skin + 0.004 * torch.randn(skin.shape, generator=draw)

    # What a depth camera beside the photo's sees: the front of the person, and some of the room.
    facing = (normal * torch.nn.functional.normalize(skin, dim=1)).sum(1) < -0.2
    room = skin.mean(0) + 3 * torch.randn(ROOM, 3, generator=draw)
    view = point_cloud([torch.cat((noisy[facing], room))], joints=estimate.joints)

    # A full scan has no viewpoint; where it has normals, give them. `cloth=Cloth()` where clothes are loose.
    scan = point_cloud([noisy[::3]], joints=estimate.joints, viewpoint=None)

    results = {
        "one view": refine.fit(photo, estimate, evidence=[view]),
        "full scan": refine.fit(photo, estimate, evidence=[scan]),
    }
    off = {"estimate": error_mm(estimate, true)}
    off |= {name: error_mm(result, true) for name, result in results.items()}
    for name, distance in off.items():
        print(f"{name:10} vertices {distance:4.0f} mm from where they are, relative to the pelvis")
    return off


def error_mm(found: refine.Result | refine.Estimate, true: refine.Estimate) -> float:
    """Mean distance of the vertices from the true ones, pelvis-aligned, mm."""
    own, right = (each.vertices - each.joints[:, :1] for each in (found, true))
    return 1e3 * float((own - right).norm(dim=-1).mean())


if __name__ == "__main__":
    main()
