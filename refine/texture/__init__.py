"""Textures: a person's own, baked from photos onto the atlas of a body."""

from refine.texture.texture import Fill, Texture, concatenate

__all__ = ["Fill", "Texture", "concatenate"]
