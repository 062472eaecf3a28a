"""The one exception that is a sentence for the user, and which failures pass by themselves."""

import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

_PASSING = re.compile(
    r"""connection\ refused | connection\ reset | connection\ timed\ out | timeout\ expired
      | server\ closed\ the\ connection | connection\ already\ closed | cannot\ be\ reached | did\ not\ start
      | terminating\ connection | the\ database\ system\ is\ (starting\ up|shutting\ down|in\ recovery\ mode)
      | too\ many\ (clients|connections) | remaining\ connection\ slots
      | deadlock\ detected | could\ not\ serialize\ access
      | could\ not\ resize\ shared\ memory | out\ of\ memory""",
    re.IGNORECASE | re.VERBOSE,
)


class ParleyError(Exception):
    """Something the user can fix, said in one sentence: what is wrong and what to do."""


class MistakeError(ParleyError):
    """What a user wrote or asked for is wrong, and nothing was begun because of it: no build has failed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question with the names nearest to one that is not known; empty where none is near."""
    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


@contextmanager
def mistakes() -> Iterator[None]:
    """Says of a ParleyError inside that it is the user's mistake, unless it may pass by itself."""
    try:
        yield
    except ParleyError as error:
        if may_pass(error):
            raise
        raise MistakeError(str(error)) from error


def told(error: BaseException) -> str:
    """What kind of error it is, and where: its message, and those of what caused it, may quote an event."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(
        [type(error).__name__, *(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames))]
    )


def may_pass(error: BaseException | str) -> bool:
    """Whether an error, by its message, is of a kind that passes by itself."""
    return _PASSING.search(str(error)) is not None
