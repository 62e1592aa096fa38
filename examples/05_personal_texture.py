"""A person's own texture: two photos go in, a map comes out that dresses the body in a third.

    python examples/05_personal_texture.py

Where the bodies are known, roughly, each texel of the map takes the colour the photos agree on, and a confidence: zero
where nobody saw it. Of the rest the other side of the body and the means of its parts are a guess, marked as such.
Pictures are written into `out`.
"""

from dataclasses import replace
from pathlib import Path

import torch

from refine.body import anny
from refine.demo.scene import as_estimate, photograph
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.photo import Photo
from refine.render.view import render_view
from refine.texture.atlas import uv_atlas
from refine.texture.file import load_texture, save_texture
from refine.texture.fill import filled_by_part_means, filled_by_symmetry
from refine.texture.personal import bake_textures
from refine.texture.texture import Fill, render_texture
from refine.viz import write_image

OUTFIT = 6  # the demo's people wear six outfits in turn: 0, 6, 12 are dressed alike, in different rooms


def main(out: Path = Path("out")) -> dict[str, float]:
    """Bake, fill, save, load, and wear; return how far the worn colours lie from the third photo's, in 8-bit steps."""
    body = anny.load()
    state = people(body, count=3)  # three poses ...
    one_shape = state.bodies.shape[:1].expand(3, -1)
    state = replace(state, bodies=replace(state.bodies, shape=one_shape))  # ... of one person
    photos = [Photo(photograph(body, state[k : k + 1], k * OUTFIT)) for k in range(3)]
    estimate = as_estimate(body, disturb(body, state, "near", seeds=range(3)), "near estimate")

    atlas = uv_atlas(body, size=(512, 512))  # which place of the body each texel is; make it once
    two = replace(estimate, state=estimate.state[:2], image_index=torch.arange(2))
    # Both are photos of person 0; the estimates lie about a centimetre off, so less than that from an outline is not
    # believed.
    texture = bake_textures(photos[:2], two, atlas, person=[0, 0], sigma_m=0.01)
    full = filled_by_part_means(filled_by_symmetry(texture, atlas), atlas)
    for kind in (Fill.SEEN, Fill.MIRRORED, Fill.PART_MEAN):
        share = float((full.filled == kind).sum() / (full.filled != Fill.EMPTY).sum())
        print(f"{kind.name.lower():10} {100 * share:3.0f} % of the body")

    out.mkdir(parents=True, exist_ok=True)
    files = save_texture(full, out / "texture.npz")  # and texture.png, to look at
    full = load_texture(files[0], body)

    third = as_estimate(body, state[2:], "the third photo")
    view = render_view(photos[2:], third, crop_px=512)
    worn, confidence = render_texture(view.fragments, body, full)
    photo = torch.from_numpy(view.pixels()) / 255
    seen = view.fragments.triangle >= 0
    beside = torch.cat((photo, torch.where(seen[..., None], worn, 0.2), confidence[..., None].expand_as(photo)), 2)
    write_image(out / "worn.jpg", (255 * beside[0]).to(torch.uint8).numpy())

    away = 255 * (worn - photo).abs().mean(-1)
    medians = {
        "everywhere": float(away[seen].median()),
        "confident": float(away[seen & (confidence > 0.5)].median()),
        "guessed": float(away[seen & (confidence < 0.1)].median()),
    }
    for name, value in medians.items():
        print(f"{name:10} {value:3.0f} of 255 from the third photo")
    return medians


if __name__ == "__main__":
    main()
