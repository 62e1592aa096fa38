"""How large a compressed file may become: an absolute limit, and one by its own length.

    allowed = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * length))

Source: derived here; tracks of joblib compress two to ten times, a zip bomb a thousand.
"""

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

from refine.errors import InputError

READ_ERRORS = (
    OSError, ValueError, TypeError, EOFError, KeyError, RuntimeError, MemoryError, SyntaxError, struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What zipfile and numpy raise on a truncated, encrypted or foreign file, on one that claims an array beyond all
memory, and on a header that is no dictionary (numpy reads it as Python's literals, which ends in a parser's errors)."""

TRUNCATED_ADVICE = "The file is truncated or not what its name says: copy it again, or run the regressor again."

MAX_BYTES = 2**32
"""What a file may be once it is unpacked: the surfaces of half an hour of SMPL video."""

FREE_BYTES = 2**28
"""What any file may become, however well it compresses."""

MAX_RATIO = 100
"""Beyond that, how many times its own length."""

ADVICE = "Nothing was read. If you trust it, unpack it yourself and give that file."


def allowed_size(length: int) -> int:
    """Return how many bytes a file of some length may hold once it is unpacked."""
    return min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * length))


def refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a zip file whose members claim to be too large; `zipfile` never gives more than a member claims.

    Raises:
        InputError: They do.
    """
    total, most = sum(member.file_size for member in archive.infolist()), allowed_size(Path(path).stat().st_size)
    if total > most:
        expected = f"at most {most / 2**20:.0f} MiB once unpacked"
        raise InputError(str(path), expected, f"{total / 2**20:.0f} MiB", ADVICE)
