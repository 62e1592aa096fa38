"""The check every format begins to write with: a file can be put back only into the layout it was read from."""

from refine.errors import InputError
from refine.estimate import Estimate, Source


def own_source(refined: Estimate, format: str, system: str) -> Source:
    """Return what a regressor stored, if this format has read it.

    Args:
        refined: The estimate that is to be written.
        format: The format's name.
        system: Whose files these are, in words.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = refined.source
    if source.format != format:
        raise InputError(
            "refined.source", f"an estimate read from {system}", source.format, "Write it in its own format."
        )
    return source
