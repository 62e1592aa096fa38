"""Photos and frames of a run: their headers are read at once, their pixels when they are first asked for."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from refine.folder.photos import PhotoFile
from refine.photo import Photo, Undecoded, check_complete, open_photo
from refine.photo.video import VideoFrames, frame_size


@dataclass
class Opener:
    """Opens photos; a frame is decoded after the one before it without going through the video anew."""

    decoding: float = 0.0
    """Seconds spent decoding."""
    _video: tuple[Path, VideoFrames] | None = field(default=None, repr=False)

    def open(self, photo: PhotoFile) -> Photo:
        """Return a photo, upright, its pixels not decoded yet.

        Raises:
            InputError: There is no such file, its size cannot be told, or it is too large.
        """
        if photo.frame is None:
            header = open_photo(photo.path)
            return Photo(
                Undecoded(header.size, lambda: self._timed(header)), header.path, header.notes, header.orientation
            )
        return Photo(Undecoded(frame_size(photo.path), lambda: self._frame(photo)), photo.path)

    def check(self, photo: PhotoFile) -> None:
        """Refuse a photo file that breaks off, without decoding it; how long a video is was looked at before.

        Raises:
            InputError: It does.
        """
        if photo.frame is None:
            check_complete(photo.path)

    def _timed(self, photo: Photo) -> Photo:
        start = time.perf_counter()
        decoded = photo.decoded()
        self.decoding += time.perf_counter() - start
        return decoded

    def _frame(self, photo: PhotoFile) -> Photo:
        assert photo.frame is not None
        start = time.perf_counter()
        if self._video is None or self._video[0] != photo.path:
            self._video = (photo.path, VideoFrames(photo.path))
        decoded = Photo(self._video[1].read(photo.frame), photo.path)
        self.decoding += time.perf_counter() - start
        return decoded
