# description: Conversations of ChatGPT, as its data export holds them (conversations.json).
# recognise: type == "object" and (.mapping | type) == "object" and (has("create_time") or has("conversation_id"))
# samples:
#   - document: {"title": "Lost card", "create_time": 1717156799.5, "update_time": 1717156802.0, "conversation_id": "conv-1", "current_node": "n3", "default_model_slug": "gpt-4o", "mapping": {"n1": {"id": "n1", "message": null, "parent": null, "children": ["n2"]}, "n2": {"id": "n2", "message": {"id": "n2", "author": {"role": "user", "metadata": {}}, "create_time": 1717156800.25, "content": {"content_type": "text", "parts": ["I lost my card"]}, "status": "finished_successfully", "metadata": {}, "recipient": "all"}, "parent": "n1", "children": ["n3"]}, "n3": {"id": "n3", "message": {"id": "n3", "author": {"role": "assistant"}, "create_time": 1717156801.5, "content": {"content_type": "text", "parts": ["Block it at once."]}, "metadata": {"model_slug": "gpt-4o"}, "recipient": "all"}, "parent": "n2", "children": []}}}
#     events:
#       - {"event_id": "chatgpt:n2", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.25Z", "sequence": 0, "conversation_id": "conv-1", "source": "chatgpt", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "chatgpt:n3", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.5Z", "sequence": 1, "conversation_id": "conv-1", "source": "chatgpt", "attributes": {"text": "Block it at once.", "model": "gpt-4o"}}
#   - document: {"title": "Order", "create_time": 1717156800, "conversation_id": "conv-2", "mapping": {"r": {"id": "r", "message": null, "parent": null, "children": ["q"]}, "a": {"id": "a", "message": {"id": "a", "author": {"role": "assistant"}, "create_time": null, "content": {"content_type": "code", "language": "unknown", "text": "search('order')"}, "recipient": "web"}, "parent": "q", "children": ["t"]}, "q": {"id": "q", "message": {"id": "q", "author": {"role": "user"}, "create_time": 1717156800.5, "content": {"content_type": "multimodal_text", "parts": [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"}, "Where is this?"]}, "recipient": "all"}, "parent": "r", "children": ["a"]}, "t": {"id": "t", "message": {"id": "t", "author": {"role": "tool", "name": "web"}, "create_time": null, "content": {"content_type": "text", "parts": ["found"]}, "recipient": "all"}, "parent": "a", "children": ["h"]}, "h": {"id": "h", "message": {"id": "h", "author": {"role": "assistant"}, "create_time": null, "content": {"content_type": "thoughts", "thoughts": []}, "recipient": "all"}, "parent": "t", "children": ["b"]}, "b": {"id": "b", "message": {"id": "b", "author": {"role": "assistant"}, "create_time": null, "content": {"content_type": "text", "parts": ["On its way."]}, "recipient": "all"}, "parent": "h", "children": []}}}
#     events:
#       - {"event_id": "chatgpt:q", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.5Z", "sequence": 0, "conversation_id": "conv-2", "source": "chatgpt", "attributes": {"text": "Where is this?"}}
#       - {"event_id": "chatgpt:a", "event_name": "ai.tool_call_started", "occurred_at": "2024-05-31T12:00:00.5Z", "sequence": 1, "conversation_id": "conv-2", "source": "chatgpt", "attributes": {"tool_name": "web", "tool_call_id": "a"}}
#       - {"event_id": "chatgpt:t", "event_name": "ai.tool_call_completed", "occurred_at": "2024-05-31T12:00:00.5Z", "sequence": 2, "conversation_id": "conv-2", "source": "chatgpt", "attributes": {"tool_name": "web", "tool_call_id": "a", "success": true}}
#       - {"event_id": "chatgpt:b", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:00.5Z", "sequence": 4, "conversation_id": "conv-2", "source": "chatgpt", "attributes": {"text": "On its way."}}

# The messages from the first on, each with its node's key, its parent's message and its time. Many have no time: theirs is
# that of the message before them.
def threaded($start):
    . as $nodes
    | ([to_entries[] | select(.value | type == "object")
        | {parent: (.value.parent | if type == "string" and ($nodes[.] | type) == "object" then . else "" end), key}]
        | reduce .[] as $node ({}; .[$node.parent] += [$node.key])) as $children
    | {todo: [$children[""] // [] | reverse[] | [., $start]], seen: {}, found: []}
    | until(.todo == [];
        .todo[-1] as [$key, $before] | .todo |= .[:-1]
        | if .seen[$key] then . else
            (($nodes[$key].message | object | .create_time) | if type == "string" then (try (time | seconds) catch null) else number end
              | if . == null or . <= 0 then $before else . end) as $at
            | .seen[$key] = true
            | .found += [{key: $key, at: $at, message: $nodes[$key].message, parent: ($nodes[$nodes[$key].parent | text // ""] | object | .message)}]
            | .todo += [$children[$key] // [] | reverse[] | [., $at]]
          end)
    | .found | sort_by(.at);

def parts: .content | if type == "object" and (.parts | type) == "array" then .parts else [] end;
def words:
    if (.content | type) == "string" then .content
    elif ((.content.parts? // null) | type) == "array" then
        [parts[] | if type == "object" and .content_type == "audio_transcription" then .text else . end
          | select(type == "string" and . != "")] | join("\n")
    elif (.content.content_type? // null) | IN("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context") then null
    else (.content.text? // null) end | if type == "string" and . != "" then . else null end;
def role: .author.role? // .role;
def is_call: type == "object" and role == "assistant" and (.recipient // "all") != "all";

if type != "object" or (.mapping | type) != "object" then reject("is no conversation of a ChatGPT export, which has mapping") else . end
| . as $c
| ((.conversation_id // .id) | text) as $id
| ((.create_time // .update_time) | if type == "string" then (try (time | seconds) catch null) else number end) as $start
| [.mapping | threaded($start)[]
    | select((.message | type) == "object" and (.message.metadata.is_visually_hidden_from_conversation? // null) != true
        and (.message.metadata.is_user_system_message? // null) != true and (.message | role | IN("user", "assistant", "tool")))]
| to_entries[] | .key as $at | .value as {$key, at: $time, $message, $parent}
| $message | words as $text | (.id // $key) as $message_id
| {event_id: (["chatgpt", $message_id] | named), occurred_at: ($time | if . == null then null else from_seconds end),
    sequence: $at, conversation_id: $id, source: "chatgpt"} as $common
| any(parts[]; type == "object") as $shows # an image, a file or a voice
| if role == "tool" then
    # the first answer to a call; what follows it are more parts of the same
    if $parent | is_call then
      $common + {event_name: "ai.tool_call_completed", attributes: ({
        tool_name: ($parent.recipient | text), tool_call_id: $parent.id,
        success: ((.content.content_type? // null) != "system_error" and (.metadata.aggregate_result.status? // null) != "failed_with_in_kernel_exception")} | present)}
    else empty end
  elif is_call then $common + {event_name: "ai.tool_call_started", attributes: {tool_name: (.recipient | text), tool_call_id: $message_id}}
  elif $text == null and ($shows | not) then empty
  elif role == "user" then $common + {event_name: "message.received", attributes: ({text: $text} | present)}
  else $common + {event_name: "message.sent", attributes: ({text: $text, model: (.metadata.model_slug? // $c.default_model_slug)} | present)} end
| present
