"""The state that is solved for: bodies, one camera a body, and the columns of a step."""

from refine.state.bodies import Bodies
from refine.state.state import State, choose
from refine.state.unknowns import Unknowns

__all__ = ["Bodies", "State", "Unknowns", "choose"]
