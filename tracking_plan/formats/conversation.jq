# description: Events of a conversation service, with conversation_id, store_id, event_type, event_data and timestamp. The store is the tenant.
# recognise: type == "object" and has("event_type") and has("timestamp") and (has("store_id") or has("event_data"))
# samples:
#   - document: {"conversation_id": "c1", "store_id": 42, "event_type": "conversation_started", "event_data": {}, "timestamp": "2024-05-31T12:00:00Z"}
#     events:
#       - {"conversation_id": "c1", "tenant_id": "42", "event_name": "conversation_started", "attributes": {}, "occurred_at": "2024-05-31T12:00:00Z"}
def id: if type == "number" then text else . end;
if type != "object" or has("event_name") then reject("is no event of a conversation service, which has event_type and event_data") else . end
| {
    event_id, context, source,
    event_name: .event_type,
    occurred_at: .timestamp,
    tenant_id: (.store_id | id),
    conversation_id: (.conversation_id | id),
    session_id: (.session_id | id),
    user_id: (.user_id | id),
    attributes: .event_data
  }
