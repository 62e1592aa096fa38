"""Results: bodies before and after, verdicts, and their files, text and pictures."""

from refine.result.known import misfit
from refine.result.result import Result, load, summarise

__all__ = ["Result", "load", "misfit", "summarise"]
