"""How a run can end other than by its own end, as opposed to errors in this code."""


class UserError(ValueError):
    """A mistake in the input: one clear line for the user, exit code 2, never a traceback.

    The message names the file or the configuration key and says what to do about it.
    """


class NonFiniteError(UserError):
    """A loss, a gradient or a prediction that is not finite; the weights are left as they were."""


class MachineError(RuntimeError):
    """The machine let the run down: one clear line, exit code 1.

    A process that was killed, memory that ran out. What the run has saved is whole.
    """


class Interrupted(Exception):  # noqa: N818 - a request that was met, no error
    """The run was asked to stop, and did so cleanly: exit code 128 + signal, as a shell has it."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal_number
