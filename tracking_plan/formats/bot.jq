# description: Events of a chat bot, with event_name, chat_id, session_id, properties, occurred_at and platform. The tenant is given per load.
# recognise: >
#   type == "object" and has("event_name") and (has("chat_id") or has("properties") or has("platform"))
#   and ((has("attributes") or has("event_timestamp") or has("collector_tstamp")) | not)
# samples:
#   - document: {"event_name": "message_received", "chat_id": 123456789, "session_id": "s1", "properties": {"text": "hi"}, "occurred_at": "2024-05-31T12:00:00Z", "platform": "telegram"}
#     events:
#       - {"event_name": "message_received", "user_id": "123456789", "session_id": "s1", "attributes": {"text": "hi"}, "occurred_at": "2024-05-31T12:00:00Z", "source": "telegram"}
if type != "object" or has("attributes") then reject("is no event of a bot, which has event_name, chat_id and properties") else . end
| {
    event_id, event_name, occurred_at, tenant_id, context,
    session_id: (.session_id | if type == "number" then text else . end),
    user_id: (.chat_id | if type == "number" then text else . end),
    source: .platform,
    attributes: .properties
  }
