"""The keypoints of a run's photos, as their files have them and with systematic faults undone."""

from dataclasses import dataclass
from pathlib import Path

from refine.folder.inputs import Inputs
from refine.folder.keypoints import KeypointFiles, read_people
from refine.folder.photos import PhotoFile, Photos
from refine.inputs.corrections import KeypointCorrection
from refine.keypoints.detections import DetectedPeople


@dataclass(frozen=True)
class DetectedInPhotos:
    """Reads who was detected in each photo.

    Attributes:
        files: The keypoint files.
        photos: The photos they are about.
        correction: What is undone to the points.
    """

    files: KeypointFiles
    photos: Photos
    correction: KeypointCorrection

    def path_of(self, photo: PhotoFile) -> Path | None:
        """Return the file about a photo, None where there is none.

        Raises:
            InputError: Several files have its name.
        """
        return self.files.of_photo(photo)

    def as_written(self, photo: PhotoFile, size: tuple[int, int], used: Inputs | None = None) -> DetectedPeople | None:
        """Return the people detected in a photo as their file has them, None where there is no file.

        Args:
            photo: The photo.
            size: Its (height, width), px.
            used: Where the file is noted; None: nowhere.

        Raises:
            InputError: The file is broken, or not about this photo.
        """
        path, used = self.path_of(photo), used or Inputs()
        if path is None:
            used.add_bare(photo)
            return None
        used.add(path)
        return read_people(path, photo, size, self.photos.place_of(photo) if self.files.about_all else None)

    def of(self, photo: PhotoFile, size: tuple[int, int], used: Inputs | None = None) -> DetectedPeople | None:
        """Return the people detected in a photo, systematic faults undone; None where there is no file.

        Args:
            photo: The photo.
            size: Its (height, width), px.
            used: Where the file is noted; None: nowhere.

        Raises:
            InputError: The file is broken, not about this photo, or about one of another size.
        """
        frames = self.correction.frames
        about = self.photos.later(photo, frames) if frames else photo
        people = None if about is None else self.as_written(about, size, used)
        return None if people is None else self.correction.of(people, size).checked(size)
