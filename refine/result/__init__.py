"""What refining ends in: bodies before and after, verdicts, files, text, a page."""

from refine.result.result import Result, misfit, summarise

__all__ = ["Result", "misfit", "summarise"]
