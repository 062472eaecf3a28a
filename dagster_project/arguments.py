"""What a run asks of dbt, from its partitions and its run config. No Dagster here."""

import json


def dbt_arguments(
    *,
    as_of: str,
    days: tuple[str, str],
    only_changes: bool = False,
    tenant: str | None = None,
    full_refresh: bool = False,
) -> list[str]:
    """The arguments of `dbt build` as of a time (RFC 3339).

    `days` is the first and last day to build again (both included), of all tenants or of one, besides whatever changed.
    Neither matters where only changes are to be taken in, nor to a full refresh, which builds everything anew.
    """
    variables = {"as_of": as_of}
    if not (only_changes or full_refresh):
        variables |= {"from_date": days[0], "to_date": days[1]}
        if tenant:
            variables["tenant"] = tenant
    return ["build", *(["--full-refresh"] if full_refresh else []), "--vars", json.dumps(variables)]
