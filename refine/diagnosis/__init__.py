"""What is systematically wrong with a folder of results and keypoints, from the residuals of many people.

    sample      <- results, photos' sizes, keypoints                          (`gather.py`)
    candidates  <- one supposed fault each, undone: how far points then lie   (`candidates.py`, `hands.py`, `timing.py`)
    finding     <- the one under which people agree far better than as the files say   (`decide.py`)

One person's keypoints may lie beside the estimate for many reasons; a fault of the folder puts everybody's beside in
the same way.
"""

from refine.diagnosis.decide import Finding, diagnose

__all__ = ["Finding", "diagnose"]
