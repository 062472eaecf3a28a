"""The HTTP server: events in, live numbers, answers out.

    keys        who may call, and for which tenant
    intake      request bodies to validated events, by the same rules as files
    spool       what is acknowledged, synced to disk
    writer      lands the spool in Postgres, in batches
    live        sliding windows of what was just acknowledged
    app         the routes

An event's way: body → intake → spool (the answer goes out) → writer → raw.events.
"""
