"""What is solved for: bodies, the camera each is seen by, and the columns of a step."""

from refine.state.bodies import Bodies
from refine.state.state import State, choose
from refine.state.unknowns import Unknowns

__all__ = ["Bodies", "State", "Unknowns", "choose"]
