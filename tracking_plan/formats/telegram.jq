# description: Chats of Telegram, as Telegram Desktop exports them in JSON (result.json of one chat or of everything).
# recognise: type == "object" and has("date") and (has("from_id") or has("actor_id")) and has("text") and (.type | IN("message", "service"))
# documents: ["messages", "chats.list.[].messages", "left_chats.list.[].messages"]
# samples:
#   - parent: {"name": "Ida", "type": "personal_chat", "id": 777}
#     document: {"id": 1, "type": "message", "date": "2024-05-31T14:00:00", "date_unixtime": "1717156800", "from": "Ida", "from_id": "user777", "text": "I lost my card", "text_entities": []}
#     events:
#       - {"event_id": "telegram:777:1", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 1, "conversation_id": "777", "user_id": "user777", "source": "telegram", "attributes": {"text": "I lost my card", "message_id": 1}}
#   - parent: {"name": "Ida", "type": "personal_chat", "id": 777}
#     document: {"id": 2, "type": "message", "date": "2024-05-31T14:00:00", "date_unixtime": "1717156800", "from": "Shop", "from_id": "user555", "text": ["See ", {"type": "link", "text": "https://shop.example/help"}]}
#     events:
#       - {"event_id": "telegram:777:2", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 2, "conversation_id": "777", "user_id": "user777", "source": "telegram", "attributes": {"text": "See https://shop.example/help", "message_id": 2, "actor": "human"}}

def words: if type == "array" then map(if type == "object" then .text else . end | text // "") | join("") else text end;
if type != "object" or (has("date") | not) then reject("is no message of a Telegram export, which has date and from_id") else . end
| if .type == "service" then empty else . end
| ($parent | object) as $chat
| ($chat.id | text) as $id
| (.from_id | text) as $from
| (if $chat.type == "bot_chat" then (if $from == "user\($id)" then "assistant" else "customer" end)
   elif $chat.type == "personal_chat" or $chat.type == null then (if $id == null or $from == "user\($id)" then "customer" else "agent" end)
   elif ($from // "" | startswith("channel")) then "agent" else "customer" end) as $who
| {
    event_id: "telegram:\($id // $from):\(.id)",
    occurred_at: (if .date_unixtime != null then .date_unixtime | from_seconds else .date | time end),
    sequence: (.id | if type == "number" then . else null end),
    conversation_id: ($id // $from),
    user_id: (if $who == "customer" then $from elif $chat.type == "personal_chat" then "user\($id)" else null end),
    source: "telegram",
    attributes: ({text: (.text | words), message_id: .id, actor: (if $who == "agent" then "human" else null end), media_type} | present)
  } + message_of($who)
| (if $who == "assistant" then del(.actor) else . end) | present
