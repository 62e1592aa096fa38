"""JSON files as programs and editors save them: any Unicode encoding, with or without a byte order mark.

    bytes -> text: the mark, else the zero bytes among the first four (a JSON text begins with two ASCII characters)

Source: RFC 8259, sec. 8.1 (a reader may ignore the mark); RFC 4627, sec. 3 (how the zero bytes tell the encoding).
"""

import json
from pathlib import Path
from typing import Any

from refine.errors import InputError

MAX_JSON_BYTES = 2**30
"""More than a data set's annotations; a file beyond it would fill the memory."""

BINARY = {
    b"\x93NUMPY": "an npy file",
    b"PK": "a zip file (npz, torch)",
    b"\x80": "a pickle",
    b"\x1f\x8b": "a gzip file",
    b"\x89PNG": "a PNG",
    b"\xff\xd8\xff": "a JPEG",
}
"""What files that are no text begin with."""

BLANK = " \t\r\n\0"
"""What may stand around JSON, and the zeros a disk leaves at the end of a file that was not written to its end."""

WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
"""Values that are written as text."""

AGAIN = "It ends in the middle: copy it again, or run what wrote it again."
MEND = "Mend it there, or run what wrote it again."


def read_json(path: str | Path, name: str = "") -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        name: What it is called in messages; empty: its path.

    Raises:
        InputError: It is missing, too large, or no JSON; the message says where it goes wrong.
    """
    path, name = Path(path), name or str(path)
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise InputError(name, f"at most {MAX_JSON_BYTES / 2**20:.0f} MiB of JSON", f"{size / 2**20:.0f} MiB")
        return parse_json(path.read_bytes(), name)
    except OSError as error:
        raise InputError(name, "a JSON file", error.strerror or str(error), "Check the path.") from error


def parse_json(data: bytes, name: str) -> Any:
    """Parse the bytes of a JSON file.

    Args:
        data: The bytes.
        name: Whose they are, for messages.

    Raises:
        InputError: They are no text, or no JSON.
    """
    try:
        text = json_text(data)
    except UnicodeDecodeError as error:
        kind = next((kind for start, kind in BINARY.items() if data.startswith(start)), "")
        if not kind and error.end >= len(data):  # the last character is cut
            raise InputError(name, "JSON", "a text that ends within a character", AGAIN) from error
        got = kind or f"bytes that are no text ({error.encoding}, from byte {error.start} on)"
        raise InputError(name, "JSON", got, "Give the file its own ending, or the file that was meant.") from error
    if not text.strip(BLANK):
        raise InputError(name, "JSON", "an empty file", "Copy it again, or run what wrote it again.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"an error at line {error.lineno}, column {error.colno} ({error.msg})"
        raise InputError(name, "JSON", where, AGAIN if _ends_early(text, error) else MEND) from error
    except ValueError as error:  # Python reads no whole number of thousands of digits
        raise InputError(name, "JSON", f"a number that is too long ({error})", MEND) from error
    except RecursionError as error:
        raise InputError(name, "JSON", "brackets nested thousands deep", "Run what wrote it again.") from error


def json_text(data: bytes, errors: str = "strict") -> str:
    """Return the text of JSON's bytes, without a byte order mark.

    Args:
        data: The bytes, or the first of them.
        errors: As for `bytes.decode`: "ignore" where they may be cut in the middle of a character.

    Raises:
        UnicodeDecodeError: They are no text.
    """
    return data.decode(json.detect_encoding(data), errors).removeprefix("\ufeff")


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    """Say whether the text ends where more was wanted: what was read is right, and the rest is missing."""
    rest = text[error.pos :].strip(BLANK)
    return error.msg.startswith("Unterminated string") or any(word.startswith(rest) for word in WORDS)
