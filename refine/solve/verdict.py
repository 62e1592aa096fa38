"""A verdict: the gate's decision about the update of one body, with its numbers (`refine.trust.gate`)."""

from dataclasses import dataclass
from enum import Enum


class Decision(Enum):
    """The gate's decision about a body's update; the value is a sentence that explains it."""

    ACCEPTED = "The update is taken."
    PARTLY_ACCEPTED = "The update is taken but for limbs that stay as the estimate has them."
    CARRIED = "The update is taken: without evidence of its own, the row follows those before and after it."
    UNSOLVED = "There was nothing to judge: the solver did not start, and `stop` says why."
    NOT_FINITE = "Left as it came: the statistics of the update are not finite."
    EXPLAINS_WORSE = "Left as it came: the update explains the evidence worse."
    BESIDE = "Left as it came: the evidence lies beside the body in the picture, farther than regressors err."
    RESIZED = "Left as it came: the evidence lies as if the photo had been resized."
    ELSEWHERE = "Left as it came: the evidence lies elsewhere in the picture and is of another size than the body."
    TOO_LARGE = "Left as it came: the estimate would have to be more wrong than regressors are."
    MISFIT = "Left as it came: the body cannot follow the evidence."
    CONTRADICTORY = "Left as it came: the sources of evidence contradict each other."
    UNLIKE = "Left as it came: the update looks less like the person."
    NOBODY = "Left as it came: the network sees nobody where the update puts the person."
    NOT_CARRIED = "Left as it came: without evidence of its own, and those before and after it are left as they came."
    BETWEEN_REFUSED = "Left as it came: those shortly before and after it are left as they came."

    @property
    def accepted(self) -> bool:
        """Whether the update is accepted, all or part of it."""
        return self in (Decision.ACCEPTED, Decision.PARTLY_ACCEPTED, Decision.CARRIED)


@dataclass(frozen=True)
class Verdict:
    """The decision about the update of one body, and the numbers it rests on.

    A number is None where it was not measured or is not finite.

    Attributes:
        decision: The decision.
        gain: Nats by which the update explains the evidence better.
        size: Size of the first round's update in usual errors of regressors, limbs that are kept left out.
        misfit: Typical residual of the evidence after the update, in its own sigmas.
        misfit_before: The same before it.
        worse: Nats by which the update explains its worst source of evidence worse.
        unexplained: Share of the photo's variation that the person's texture does not explain after the update.
        unexplained_before: The same before it.
        shift: How far the evidence moved the body's trunk in the picture, in heights of the person.
        right: The same to the right, px; negative: to the left.
        down: The same downward, px; negative: upward.
        enlarged: Size of the person in the picture after the update over that before.
        photo_width: Width, px, of the photo the evidence seems to be made on, where it fits a resized photo.
        photo_height: Its height, px.
        person: Probability, by the network, that the photo shows the person where the update puts him.
        kept: Names of the limbs put back to the estimate although the rest was accepted.
    """

    decision: Decision
    gain: float | None = None
    size: float | None = None
    misfit: float | None = None
    misfit_before: float | None = None
    worse: float | None = None
    unexplained: float | None = None
    unexplained_before: float | None = None
    shift: float | None = None
    right: float | None = None
    down: float | None = None
    enlarged: float | None = None
    photo_width: float | None = None
    photo_height: float | None = None
    person: float | None = None
    kept: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the update is accepted, all or part of it."""
        return self.decision.accepted

    @property
    def judged(self) -> bool:
        """Whether there was an update to judge; otherwise see `stop`."""
        return self.decision is not Decision.UNSOLVED
