"""Errors that a person reads. Everything else is a bug and keeps its traceback."""


class ParleyError(Exception):
    """Something the user can mend, said in one sentence: what is wrong and what to do."""
