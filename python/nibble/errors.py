"""The one exception type that Nibble's Python modules raise for a mistake a user can correct."""


class NibbleError(Exception):
    """A message for the person who can act: what was wrong, what was expected, what to do."""
