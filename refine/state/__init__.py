"""The state that is solved for: bodies, one camera a body, the columns of a step, and which rows are tied."""

from refine.state.bodies import Bodies
from refine.state.groups import Coupling, Groups, one_shape
from refine.state.state import State, choose
from refine.state.track import Tracks
from refine.state.unknowns import Unknowns

__all__ = ["Bodies", "Coupling", "Groups", "State", "Tracks", "Unknowns", "choose", "one_shape"]
