"""Errors that a user can mend, as opposed to errors in this code."""


class UserError(ValueError):
    """A mistake in the input: one clear line for the user, exit code 2, never a traceback.

    The message names the file or the configuration key and says what to do about it.
    """
