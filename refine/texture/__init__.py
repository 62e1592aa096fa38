"""People's textures, baked from photos onto the UV atlas of a body."""

from refine.texture.texture import Fill, Texture, concatenate

__all__ = ["Fill", "Texture", "concatenate"]
