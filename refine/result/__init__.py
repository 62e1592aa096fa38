"""What refining ends in: bodies before and after, verdicts, files, text, a page."""

from refine.result.known import misfit
from refine.result.result import Result, load, summarise

__all__ = ["Result", "load", "misfit", "summarise"]
