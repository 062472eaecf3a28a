"""The one exception that is a sentence for the user, and which failures pass by themselves."""

import re

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
    """Something the user can mend, said in one sentence: what is wrong and what to do."""


def may_pass(error: BaseException | str) -> bool:
    """Whether an error, by its message, is of a kind that passes by itself."""
    return _PASSING.search(str(error)) is not None
