"""What stands where a pickle wants an object of a library: a record of what it was given, which does nothing.

    GLOBAL module name  ->  a subclass of StandIn;    REDUCE, NEWOBJ  ->  StandIn(arguments);
                        BUILD  ->  StandIn.state

No function or class of numpy, scipy, chumpy, torch or the standard library is reached.

Source: the pickle machine as `pickletools` documents it.
"""

from typing import Any


class StandIn:
    """Stands where a pickle wants an object of a library: keeps the arguments and the state, does nothing.

    Attributes:
        path: Module and name the pickle asked for ("chumpy.ch.Ch").
        arguments: What the object was to be made from.
        state: What it was to be filled with, None if it was not.
    """

    __slots__ = ("arguments", "state")
    path = ""
    arguments: tuple[object, ...]
    state: object

    def __new__(cls, *arguments: object) -> "StandIn":
        """Record the arguments."""
        self = object.__new__(cls)
        self.arguments, self.state = arguments, None
        return self


class Reconstructor(StandIn):
    """Pickle protocols 0 and 1 name the class as an argument: gives the blank record of that class."""

    __slots__ = ()

    def __new__(cls, *arguments: object) -> Any:
        """Return the record of the class named first."""
        kind = arguments[0] if arguments else None
        if isinstance(kind, type) and issubclass(kind, StandIn):
            return kind()
        return super().__new__(cls, *arguments)


class Forgotten(StandIn):
    """What a checkpoint's trainer put beside the weights: takes items and members too, and keeps none."""

    __slots__ = ()
