# description: Conversations of Claude, as its data export holds them (conversations.json).
# recognise: type == "object" and (.chat_messages | type) == "array"
# samples:
#   - document: {"uuid": "c-1", "name": "Lost card", "created_at": "2024-05-31T12:00:00.000000Z", "updated_at": "2024-05-31T12:00:02.000000Z", "account": {"uuid": "acc-1"}, "chat_messages": [{"uuid": "m-1", "text": "I lost my card", "content": [{"type": "text", "text": "I lost my card"}], "sender": "human", "created_at": "2024-05-31T12:00:00.000000Z"}, {"uuid": "m-2", "text": "", "content": [{"type": "tool_use", "name": "web_search", "start_timestamp": "2024-05-31T12:00:00.500000Z"}, {"type": "tool_result", "name": "web_search", "is_error": false, "start_timestamp": "2024-05-31T12:00:00.600000Z", "stop_timestamp": "2024-05-31T12:00:01.000000Z"}, {"type": "text", "text": "Block it at once."}], "sender": "assistant", "created_at": "2024-05-31T12:00:01.500000Z"}]}
#     events:
#       - {"event_id": "claude:m-1", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000000Z", "sequence": 0, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "claude:m-2:0", "event_name": "ai.tool_call_started", "occurred_at": "2024-05-31T12:00:00.500000Z", "sequence": 1, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"tool_name": "web_search"}}
#       - {"event_id": "claude:m-2:1", "event_name": "ai.tool_call_completed", "occurred_at": "2024-05-31T12:00:01.000000Z", "sequence": 1, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"tool_name": "web_search", "success": true}}
#       - {"event_id": "claude:m-2", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.500000Z", "sequence": 1, "conversation_id": "c-1", "user_id": "acc-1", "source": "claude", "attributes": {"text": "Block it at once."}}

if type != "object" or (.chat_messages | type) != "array" then reject("is no conversation of a Claude export, which has chat_messages") else . end
| . as $c
| .chat_messages | to_entries[] | select(.value | type == "object") | .key as $at | .value
| . as $m
| {conversation_id: ($c.uuid | text), user_id: ($c.account.uuid? | text), source: "claude", sequence: $at} as $common
| ((.content | said) // .text) as $text
| ((.content | if type == "array" then . else [] end) | to_entries[] | .key as $part | .value | select(type == "object")
    | if .type == "tool_use" then $common + {event_id: "claude:\($m.uuid):\($part)", event_name: "ai.tool_call_started", occurred_at: ((.start_timestamp // $m.created_at) | time), attributes: {tool_name: (.name // "unknown")}}
      elif .type == "tool_result" then $common + {event_id: "claude:\($m.uuid):\($part)", event_name: "ai.tool_call_completed", occurred_at: ((.stop_timestamp // .start_timestamp // $m.created_at) | time), attributes: {tool_name: (.name // "unknown"), success: (.is_error != true)}}
      else empty end | present),
  (if $text == null or $text == "" then empty else
    $common + {event_id: "claude:\(.uuid)", event_name: (if .sender == "human" then "message.received" else "message.sent" end), occurred_at: (.created_at | time), attributes: {text: $text}} | present end)
