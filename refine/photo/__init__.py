"""Reads photos from files and memory as upright RGB bytes."""

from refine.photo.photo import ImageLike, Photo, Undecoded, check_complete, open_photo, read_photo, read_photos

__all__ = ["ImageLike", "Photo", "Undecoded", "check_complete", "open_photo", "read_photo", "read_photos"]
