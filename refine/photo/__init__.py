"""Photos in the forms people have them, upright, as RGB bytes."""

from refine.photo.photo import ImageLike, Photo, Undecoded, check_complete, open_photo, read_photo, read_photos

__all__ = ["ImageLike", "Photo", "Undecoded", "check_complete", "open_photo", "read_photo", "read_photos"]
