"""What a run asks of dbt, from its partitions and its run config. No Dagster here."""

import json


def dbt_arguments(
    *,
    as_of: str,
    days: tuple[str, str] | None = None,
    tenant: str | None = None,
    full_refresh: bool = False,
) -> list[str]:
    """The arguments of `dbt build`.

    `days` is the first and last day to build again (both included), besides whatever changed; `tenant` limits that to
    one tenant, or without days means all of its days. A full refresh builds everything anew, so that neither limits it.
    """
    variables = {"as_of": as_of}
    if full_refresh:
        return ["build", "--full-refresh", "--vars", json.dumps(variables)]
    if days:
        variables |= {"from_date": days[0], "to_date": days[1]}
    if tenant:
        variables["tenant"] = tenant
    return ["build", "--vars", json.dumps(variables)]
