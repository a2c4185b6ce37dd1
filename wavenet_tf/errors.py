"""The error of this package that a user can mend."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what, and what was expected."""
