# description: Parley's own events, as tracking_plan/README.md describes them. Read without jq.
# recognise: >
#   type == "object" and has("event_name")
#   and ((has("chat_id") or has("properties") or has("platform") or has("event_timestamp") or has("collector_tstamp")) | not)
# samples:
#   - document: {"event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "tenant_id": "shop", "attributes": {"text": "hi"}}
#     events:
#       - {"event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "tenant_id": "shop", "attributes": {"text": "hi"}}
.
