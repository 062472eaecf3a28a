# description: Chats of Telegram, as Telegram Desktop exports them in JSON (result.json of one chat or of everything).
# recognise: >
#   type == "object" and has("date") and (has("from_id") or has("actor_id")) and (has("text") or has("text_entities")) and (.type | IN("message", "service"))
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
#   - parent: {"personal_information": {"user_id": 555}, "name": "Card holders", "type": "private_supergroup", "id": 999}
#     document: {"id": 3, "type": "message", "date": "2024-05-31T14:00:00", "date_unixtime": "1717156800", "edited": "2024-05-31T14:01:00", "edited_unixtime": "1717156860", "from": null, "from_id": "user888", "file": "(File not included. Change data exporting settings to download.)", "media_type": "voice_message", "duration_seconds": 4, "text": "", "text_entities": []}
#     events:
#       - {"event_id": "telegram:999:3", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 3, "conversation_id": "999", "user_id": "user888", "source": "telegram", "attributes": {"message_id": 3, "media_type": "voice_message"}}
#   - parent: {"name": "Ida", "type": "personal_chat", "id": 4295744}
#     document: {"id": 4, "type": "message", "date": "2019-05-31T14:00:00", "from": "Ida", "from_id": 4295744, "text": "Hi"}
#     events:
#       - {"event_id": "telegram:4295744:4", "event_name": "message.received", "occurred_at": "2019-05-31T14:00:00Z", "sequence": 4, "conversation_id": "4295744", "user_id": "4295744", "source": "telegram", "attributes": {"text": "Hi", "message_id": 4}}

def words: if type == "array" then map(if type == "object" then .text else . end | text // "") | join("") else text end;
# Numbers of accounts, which older exports write without "user".
def account: text | if . == null then null else ltrimstr("user") end;

if type != "object" or ((has("date") or has("date_unixtime")) | not) then reject("is no message of a Telegram export, which has date and from_id") else . end
| ($parent | object) as $chat
# notes to oneself are no conversation, and the service says who came and went
| if .type == "service" or $chat.type == "saved_messages" then empty else . end
| ($chat.id | text) as $id
| (.from_id | text) as $from
| ($from | account) as $account
| (($chat.personal_information.user_id? // null) | account) as $owner # of the export, where it is one of everything
| (if $chat.type == "bot_chat" then (if $account == $id then "assistant" else "customer" end)
   elif $chat.type == "personal_chat" or $chat.type == null then (if $id == null or $account == $id then "customer" else "agent" end)
   elif $account != null and $account == $owner or ($from // "" | startswith("channel")) then "agent" else "customer" end) as $who
| {
    event_id: (["telegram", $id // $from, .id] | named),
    occurred_at: (if .date_unixtime != null then .date_unixtime | from_seconds else .date | time end),
    sequence: (.id | if type == "number" then . else null end),
    conversation_id: ($id // $from),
    user_id: (if $who == "customer" then $from elif $chat.type == "personal_chat" then (if $from // "user" | startswith("user") then "user\($id)" else $id end) else null end),
    source: "telegram",
    attributes: ({text: ((.text // .text_entities) | words), message_id: .id, actor: (if $who == "agent" then "human" else null end),
      media_type: (.media_type // (if .photo != null then "photo" elif .file != null then "file" else null end))} | present)
  } + message_of($who)
| (if $who == "assistant" then del(.actor) else . end) | present
