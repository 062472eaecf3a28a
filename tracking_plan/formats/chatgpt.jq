# description: Conversations of ChatGPT, as its data export holds them (conversations.json).
# recognise: type == "object" and (.mapping | type) == "object" and (has("create_time") or has("conversation_id"))
# samples:
#   - document: {"title": "Lost card", "create_time": 1717156799.5, "update_time": 1717156802.0, "conversation_id": "conv-1", "current_node": "n3", "default_model_slug": "gpt-4o", "mapping": {"n1": {"id": "n1", "message": null, "parent": null, "children": ["n2"]}, "n2": {"id": "n2", "message": {"id": "n2", "author": {"role": "user", "metadata": {}}, "create_time": 1717156800.25, "content": {"content_type": "text", "parts": ["I lost my card"]}, "status": "finished_successfully", "metadata": {}, "recipient": "all"}, "parent": "n1", "children": ["n3"]}, "n3": {"id": "n3", "message": {"id": "n3", "author": {"role": "assistant"}, "create_time": 1717156801.5, "content": {"content_type": "text", "parts": ["Block it at once."]}, "metadata": {"model_slug": "gpt-4o"}, "recipient": "all"}, "parent": "n2", "children": []}}}
#     events:
#       - {"event_id": "chatgpt:n2", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.25Z", "sequence": 0, "conversation_id": "conv-1", "source": "chatgpt", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "chatgpt:n3", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.5Z", "sequence": 1, "conversation_id": "conv-1", "source": "chatgpt", "attributes": {"text": "Block it at once.", "model": "gpt-4o"}}

if type != "object" or (.mapping | type) != "object" then reject("is no conversation of a ChatGPT export, which has mapping") else . end
| . as $c
| ((.conversation_id // .id) | text) as $id
| [.mapping[] | .message? | select(type == "object" and (.author.role? | IN("user", "assistant")) and .metadata.is_visually_hidden_from_conversation? != true)]
| sort_by(.create_time // $c.create_time | number) | to_entries[] | .key as $at | .value
| (.content | if type == "object" and (.parts | type) == "array" then [.parts[] | select(type == "string" and . != "")] | join("\n") elif type == "object" then .text // "" else "" end) as $text
| {
    event_id: "chatgpt:\(.id)",
    occurred_at: ((.create_time // $c.create_time) | if . == null then null else from_seconds end),
    sequence: $at, conversation_id: $id, source: "chatgpt"
  } as $common
| if .author.role == "user" then (if $text == "" then empty else $common + {event_name: "message.received", attributes: {text: $text}} end)
  elif (.recipient // "all") != "all" then $common + {event_name: "ai.tool_call_started", attributes: {tool_name: .recipient}}
  elif $text == "" then empty
  else $common + {event_name: "message.sent", attributes: ({text: $text, model: (.metadata.model_slug? // $c.default_model_slug)} | present)} end
| present
