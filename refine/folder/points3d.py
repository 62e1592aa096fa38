"""3D joints and clouds of a run: which of them are a photo's, and the evidence they are for its bodies.

    a folder     b.npy, b.npz, b.pkl, b.json or b.ply of photo "a/b.jpg": joints of its people, or a cloud around them
    one file     joints about all photos: by the photos' names where the file has them (MeTRAbs), else one person a
                 photo, in the photos' order (VideoPose3D, MotionBERT)

A photo without a file, and people without joints, are told nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from refine.errors import InputError
from refine.estimate import Estimate
from refine.folder.inputs import Inputs
from refine.folder.photos import PhotoFile, Photos
from refine.inputs.points3d import Cloud, Poses, evidence_of, read_points3d
from refine.terms import Term

ENDINGS = (".npz", ".npy", ".pkl", ".json", ".ply")


@dataclass
class PointsOfPhotos:
    """Where a run's 3D joints or clouds are.

    Raises:
        InputError: There is nothing of the kind, or one file about all photos is broken.
    """

    given: str
    photos: Photos
    _files: dict[str, list[Path]] = field(default_factory=dict, init=False, repr=False)
    _whole: Poses | Cloud | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        folder = Path(self.given)
        if not folder.is_dir():
            self._whole = read_points3d(self.given)
            return
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in ENDINGS and path.is_file():
                self._files.setdefault(path.stem, []).append(path)
        if not self._files:
            raise InputError("--points3d", f"files ending in {', '.join(ENDINGS)} in {self.given}", "none")

    def of(self, estimate: Estimate, photos: Sequence[PhotoFile], used: Inputs) -> tuple[Term, ...]:
        """Return the evidence of prepared bodies.

        Args:
            estimate: B bodies; `image_index` counts the photos.
            photos: Those.
            used: Takes note of the files that are read.

        Raises:
            InputError: A file is broken, or is not about as many people as there are in its photo.
        """
        index = estimate.image_index.tolist()
        found = [self._of_photo(photo, index.count(at), used) for at, photo in enumerate(photos)]
        if any(isinstance(each, Cloud) for each in found):
            if len(photos) == 1 and isinstance(found[0], Cloud):
                return evidence_of(found[0], estimate)
            raise InputError("--points3d", "clouds of results with one photo each", f"a result of {len(photos)} photos")
        known = [each for each in found if isinstance(each, Poses)]
        if not known:
            return self._silent(estimate)
        first = known[0]
        joints = np.full((len(index), *first.joints.shape[1:]), np.nan)
        for at, each in enumerate(found):
            rows = [row for row, photo in enumerate(index) if photo == at]
            if isinstance(each, Poses):
                joints[rows] = each.joints
        return evidence_of(replace(first, joints=joints, images=()), estimate)

    def _silent(self, estimate: Estimate) -> tuple[Term, ...]:
        """Return evidence of the run's kind that tells nothing, so that all results of a run have the same terms."""
        if isinstance(self._whole, Poses):
            shape = self._whole.joints.shape[1:]
            return evidence_of(
                replace(self._whole, joints=np.full((len(estimate), *shape), np.nan), images=()), estimate
            )
        return ()

    def _of_photo(self, photo: PhotoFile, people: int, used: Inputs) -> Poses | Cloud | None:
        """Return what is known of a photo's people, one pose each; None where nothing is."""
        whole = self._whole
        if isinstance(whole, Cloud):
            raise InputError("--points3d", "a folder with one cloud a photo, or 3D joints", f"one cloud ({self.given})")
        if whole is None:
            stem = photo.path.stem if photo.frame is None else f"{photo.path.stem}_{photo.frame:012d}"
            files = self._files.get(stem, [])
            near = [path for path in files if path.parent.name == PurePosixPath(photo.name).parent.name]
            files = files if len(files) < 2 else near
            if not files:
                return None
            used.add(files[0])
            found = read_points3d(files[0])
            if isinstance(found, Poses) and len(found.joints) != people:
                raise InputError(f"points3d {files[0].name}", f"{people} poses, one a body", str(len(found.joints)))
            return found
        if whole.images:
            rows = [
                row for row, name in enumerate(whole.images) if name.endswith(photo.name) or photo.name.endswith(name)
            ]
        else:
            rows = [self.photos.place_of(photo)[0]]
        if len(rows) != people or rows[-1] >= len(whole.joints):
            return None
        return whole.of(rows)
