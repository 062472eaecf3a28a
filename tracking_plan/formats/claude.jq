# description: Conversations of Claude, as its data export holds them (conversations.json).
# recognise: type == "object" and (.chat_messages | type) == "array"
# samples:
#   - document: {"uuid": "c-1", "name": "Lost card", "created_at": "2024-05-31T12:00:00.000000Z", "updated_at": "2024-05-31T12:00:02.000000Z", "account": {"uuid": "acc-1"}, "chat_messages": [{"uuid": "m-1", "text": "I lost my card", "content": [{"type": "text", "text": "I lost my card"}], "sender": "human", "created_at": "2024-05-31T12:00:00.000000Z"}, {"uuid": "m-2", "text": "", "content": [{"type": "thinking", "thinking": "Which card?"}, {"type": "tool_use", "id": "toolu_1", "name": "web_search", "start_timestamp": "2024-05-31T12:00:00.500000Z"}, {"type": "tool_result", "tool_use_id": "toolu_1", "name": "web_search", "is_error": false, "start_timestamp": "2024-05-31T12:00:00.600000Z", "stop_timestamp": "2024-05-31T12:00:01.000000Z"}, {"type": "text", "text": "Block it at once."}], "sender": "assistant", "created_at": "2024-05-31T12:00:01.500000Z"}]}
#     events:
#       - {"event_id": "claude:m-1", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000000Z", "sequence": 0, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "claude:m-2:1", "event_name": "ai.tool_call_started", "occurred_at": "2024-05-31T12:00:00.500000Z", "sequence": 1, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"tool_name": "web_search", "tool_call_id": "toolu_1"}}
#       - {"event_id": "claude:m-2:2", "event_name": "ai.tool_call_completed", "occurred_at": "2024-05-31T12:00:01.000000Z", "sequence": 1, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"tool_name": "web_search", "tool_call_id": "toolu_1", "success": true}}
#       - {"event_id": "claude:m-2", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.500000Z", "sequence": 1, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"text": "Block it at once."}}
#   - document: {"uuid": "c-2", "name": "", "created_at": "2024-05-31T12:00:00.000000Z", "account": {"uuid": "acc-1"}, "chat_messages": [{"uuid": "m-3", "text": "", "content": [], "sender": "human", "created_at": "2024-05-31T12:00:00.000000Z", "attachments": [], "files": [{"file_name": "card.png"}], "parent_message_uuid": "00000000-0000-4000-8000-000000000000"}, {"uuid": "m-4", "text": "", "content": [{"type": "voice_note", "title": null, "text": "Is it blocked?"}], "sender": "human", "created_at": "2024-05-31T12:00:02.000000Z"}]}
#     events:
#       - {"event_id": "claude:m-3", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000000Z", "sequence": 0, "conversation_id": "c-2", "user_id": "acc-1", "source": "claude", "attributes": {}}
#       - {"event_id": "claude:m-4", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:02.000000Z", "sequence": 1, "conversation_id": "c-2", "user_id": "acc-1", "source": "claude", "attributes": {"text": "Is it blocked?"}}

# A block that is shown as text: a voice note is what was said.
def shown: if type == "object" and .type == "voice_note" then .type = "text" else . end;

if type != "object" or (.chat_messages | type) != "array" then reject("is no conversation of a Claude export, which has chat_messages") else . end
| . as $c
| .chat_messages | to_entries[] | select(.value | type == "object") | .key as $at | .value
| . as $m
| {conversation_id: ($c.uuid | text), user_id: (($c.account.uuid? // null) | text), source: "claude", sequence: $at} as $common
| ((.created_at // $c.created_at) | time) as $when
| ((.content | if type == "array" then map(shown) else . end | said) // .text | if type == "string" and . != "" then . else null end) as $text
| any((.attachments, .files, .files_v2) | list | .[]; type == "object") as $attached
| ((.content | if type == "array" then . else [] end) | to_entries[] | .key as $part | .value | select(type == "object")
    | {event_id: (["claude", $m.uuid, $part] | named)} as $these
    | if .type == "tool_use" then $common + $these + {event_name: "ai.tool_call_started", occurred_at: (.start_timestamp | time // $when),
        attributes: ({tool_name: (.name // "unknown"), tool_call_id: .id} | present)}
      elif .type == "tool_result" then $common + $these + {event_name: "ai.tool_call_completed", occurred_at: ((.stop_timestamp // .start_timestamp) | time // $when),
        attributes: ({tool_name: (.name // "unknown"), tool_call_id: .tool_use_id, success: (.is_error != true)} | present)}
      else empty end | present),
  (if $text == null and ($attached | not) then empty else
    $common + {event_id: (["claude", .uuid] | named), occurred_at: $when, attributes: ({text: $text} | present),
      event_name: (if .sender | IN("human", "user") then "message.received" elif .sender == "assistant" then "message.sent"
        else reject("holds a message whose sender is neither human nor assistant") end)} | present end)
