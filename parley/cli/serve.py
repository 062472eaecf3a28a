"""`parley serve`: the HTTP server."""

from typing import Annotated

from parley.cli import console, typer


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8090,
    processes: Annotated[int, typer.Option(help="Server processes.", min=1, max=64)] = 1,
    only: Annotated[str, typer.Option(help="Half of the server: collect (events in), or read (live numbers).")] = "",
    spool_mib: Annotated[int, typer.Option(help="Disk for what Postgres has not taken in yet, in MiB.", min=1)] = 1024,
) -> None:
    """Take events in by HTTP, and show live numbers at /live. Ctrl-C or SIGTERM drains.

    Example: [bold]parley keys create --tenant my-shop --scope write && parley serve --processes 2[/]
    """
    import os
    import socket

    import uvicorn

    from parley.errors import ParleyError
    from parley.server import spool
    from parley.server.collector import Options, is_away
    from parley.settings import Settings
    from parley.warehouse import migrate

    if only not in ("", "collect", "read"):
        raise ParleyError(f"--only {only!r} is no half of the server: give collect or read, or leave it out.")
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ParleyError(
            f"{host}:{port} cannot be listened on ({why}): stop what does, or give another --port."
        ) from None
    settings = Settings.load()
    if only != "read":
        spool.Spool.create(spool.home(settings), max_bytes=0).close()  # in one sentence, if it cannot be
    try:
        migrate.upgrade(settings)
    except ParleyError as error:
        if not is_away(error):
            raise  # else each process says so, and waits
    Options(processes, spool_mib * 2**20, only).export()
    console.print(f"Parley listens on http://{host}:{port} · http://{host}:{port}/docs")
    uvicorn.run(
        "parley.server.app:create",
        factory=True,
        host=host,
        port=port,
        workers=processes,
        log_level="warning",
        access_log=False,  # a query string may hold a key
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,  # longer than proxies and clients keep theirs: no request meets a connection that ends
    )
