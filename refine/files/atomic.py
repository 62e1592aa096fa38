"""Files that are there whole or not at all."""

import os
import uuid
from pathlib import Path

from refine.errors import InputError


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file under another name beside its place, then rename it, so that nobody meets half of it.

    Args:
        path: The file; one that is there is replaced.
        data: Its content.

    Raises:
        InputError: The folder does not exist, or cannot be written to.
    """
    path = Path(path)
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(
            "path", "a file in a folder that exists", str(path), "Create the folder first, and name a file in it."
        )
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise InputError(
            "path", "a place that can be written to", f"{path} ({error.strerror or error})", "Nothing was written."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
