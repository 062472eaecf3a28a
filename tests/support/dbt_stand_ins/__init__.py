"""The folder that .sqlfluff names. sqlfluff runs it again for every model, so the work is done once, in dbt_macros."""

from tests.support.dbt_macros import NAMES

globals().update(NAMES)
