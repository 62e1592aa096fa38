"""The errors of the library: one for a caller's mistake, one for a package that is not installed.

Numerical trouble is not an error: it is an outcome of that body (`refine.solve.StopReason`).
"""


class InputError(ValueError):
    """A caller's mistake, with the message `name: expected …, got …` and what to do about it."""

    def __init__(self, name: str, expected: str, got: str, advice: str = "") -> None:
        """Build the message.

        Args:
            name: The argument (or file) that is wrong, as the caller wrote it.
            expected: What was expected.
            got: What was given.
            advice: What to do, a full sentence; may be empty.
        """
        self.name, self.expected, self.got, self.advice = name, expected, got, advice
        super().__init__(f"{name}: expected {expected}, got {got}." + (f" {advice}" if advice else ""))

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str, str]]:
        """Return how to unpickle the error with all four parts."""
        return (type(self), (self.name, self.expected, self.got, self.advice))


class MissingExtra(ImportError):
    """An optional package is needed and not installed; the message names the command that installs it."""

    def __init__(self, package: str, purpose: str, install: str) -> None:
        """Build the message.

        Args:
            package: The import name of the missing package.
            purpose: What it is needed for.
            install: The command that installs it.
        """
        self.package, self.purpose, self.install = package, purpose, install
        super().__init__(
            f"{package} is needed {purpose} and is not installed. Install it with: {install}", name=package
        )
