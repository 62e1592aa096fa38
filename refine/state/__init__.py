"""What is solved for: bodies, the camera each is seen by, and the columns of a step."""

from refine.state.bodies import BODY_JOINTS, Bodies
from refine.state.state import State, choose
from refine.state.unknowns import Unknowns

__all__ = ["BODY_JOINTS", "Bodies", "State", "Unknowns", "choose"]
