# description: Logs of chat completions and responses in OpenAI's shapes - stored ones, pairs of request and response, or lines of a batch's output.
# recognise: >
#   def is_answer: . == "chat.completion" or . == "response" or . == "chat.completion.chunk";
#   type == "object" and ((.response | if type == "array" then .[0] else . end | object) as $response
#     | (.object | is_answer) or ($response.object | is_answer) or ($response.body | object | .object | is_answer)
#     or ($response.status_code | type) == "number"
#     or (.request | object | has("messages") or has("input")) and (has("response") or has("error")))
# documents: [data]
# samples:
#   - document: {"request": {"model": "gpt-4o", "user": "ida", "metadata": {"conversation_id": "c1"}, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "I lost my card"}]}, "response": {"id": "chatcmpl-1", "object": "chat.completion", "created": 1717156800, "model": "gpt-4o-2024-05-13", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Block it at once."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 12, "completion_tokens": 30}}, "latency_ms": 1250}
#     events:
#       - {"event_id": "openai:chatcmpl-1:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "openai:chatcmpl-1", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:01.250Z", "sequence": 1, "conversation_id": "c1", "user_id": "ida", "attributes": {"duration_ms": 1250, "model": "gpt-4o-2024-05-13", "provider": "openai", "response_id": "chatcmpl-1", "input_tokens": 12, "output_tokens": 30}}
#       - {"event_id": "openai:chatcmpl-1:sent", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.250Z", "sequence": 2, "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "Block it at once.", "model": "gpt-4o-2024-05-13"}}
#   - document: {"request": {"model": "gpt-4.1", "input": "I lost my card"}, "response": {"id": "resp-1", "object": "response", "created_at": 1717156800, "completed_at": 1717156802, "model": "gpt-4.1-2025-04-14", "output": [{"type": "function_call", "call_id": "call-1", "name": "block_card", "arguments": "{}"}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is blocked.", "annotations": []}]}], "usage": {"input_tokens": 36, "output_tokens": 87, "total_tokens": 123}, "conversation": {"id": "conv-1"}}}
#     events:
#       - {"event_id": "openai:resp-1:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "conv-1", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "openai:resp-1", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:02.000Z", "sequence": 1, "conversation_id": "conv-1", "attributes": {"duration_ms": 2000, "model": "gpt-4.1-2025-04-14", "provider": "openai", "response_id": "resp-1", "input_tokens": 36, "output_tokens": 87}}
#       - {"event_id": "openai:resp-1:tool:0", "event_name": "ai.tool_call_started", "occurred_at": "2024-05-31T12:00:02.000Z", "sequence": 1, "conversation_id": "conv-1", "attributes": {"tool_name": "block_card", "tool_call_id": "call-1"}}
#       - {"event_id": "openai:resp-1:sent", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:02.000Z", "sequence": 2, "conversation_id": "conv-1", "attributes": {"text": "It is blocked.", "model": "gpt-4.1-2025-04-14"}}
#   - document: {"request": {"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": [{"type": "text", "text": "Block it"}, {"type": "image_url", "image_url": {"url": "data:"}}]}]}, "response": [{"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1717156800, "model": "gpt-4o", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "I can"}}]}, {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1717156800, "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": " do it.", "tool_calls": [{"index": 0, "id": "call-2", "function": {"name": "block_card", "arguments": "{}"}}]}, "finish_reason": null}]}, {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1717156800, "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}]}
#     events:
#       - {"event_id": "openai:chatcmpl-2:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "chatcmpl-2", "attributes": {"text": "Block it"}}
#       - {"event_id": "openai:chatcmpl-2:tool:0", "event_name": "ai.tool_call_started", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 1, "conversation_id": "chatcmpl-2", "attributes": {"tool_name": "block_card", "tool_call_id": "call-2"}}
#       - {"event_id": "openai:chatcmpl-2:sent", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 2, "conversation_id": "chatcmpl-2", "attributes": {"text": "I can do it.", "model": "gpt-4o", "provider": "openai", "response_id": "chatcmpl-2", "input_tokens": 3, "output_tokens": 4}}
#   - document: {"id": "chatcmpl-3", "object": "chat.completion", "created": 1717156800, "model": "gpt-4o", "metadata": {"conversation_id": "c3"}, "choices": [{"index": 0, "message": {"role": "assistant", "content": null, "refusal": "I cannot help with that."}, "finish_reason": "stop"}], "usage": null}
#     events:
#       - {"event_id": "openai:chatcmpl-3:sent", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 2, "conversation_id": "c3", "attributes": {"text": "I cannot help with that.", "model": "gpt-4o", "provider": "openai", "response_id": "chatcmpl-3"}}
#   - document: {"id": "r-9", "timestamp": "2024-05-31T12:00:00Z", "latency_ms": 500, "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}, "response": {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}}
#     events:
#       - {"event_id": "openai:r-9:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "r-9", "attributes": {"text": "Hi"}}
#       - {"event_id": "openai:r-9:error", "event_name": "system.error", "occurred_at": "2024-05-31T12:00:00.500Z", "sequence": 1, "conversation_id": "r-9", "attributes": {"error_class": "rate_limit_exceeded", "error_message": "Rate limit reached"}}

# What answers a request, of either API, as one shape.
def is_answer: type == "object" and ((.choices | type) == "array" or .object == "response" and (.output | type) == "array");
def is_chunk: type == "object" and .object == "chat.completion.chunk";
# A streamed answer is logged as its chunks: the completion that they make.
def assembled:
    [.[] | select(is_chunk)] as $chunks
    | [$chunks[].choices | list | .[] | select(type == "object" and .index == 0 or .index == null) | .delta | object] as $deltas
    | $chunks[0] + {
        object: "chat.completion", usage: ([$chunks[].usage | select(type == "object")] | last),
        choices: [{message: {
          content: ([$deltas[].content | strings] | if . == [] then null else join("") end),
          refusal: ([$deltas[].refusal | strings] | if . == [] then null else join("") end),
          tool_calls: (reduce ($deltas[].tool_calls | list | .[] | select(type == "object")) as $call ({};
            .["\($call.index // 0)"] |= {id: (.id // $call.id), function: {name: (.function.name // ($call.function.name? // null))}}) | [.[]])}}]};
def answered:
    if .object == "response" then
        [.output[] | select(type == "object")] as $items
        | {text: ([$items[] | select(.type == "message") | .content | said] | map(select(. != null)) | if . == [] then null else join("\n") end),
           calls: [$items[] | select(.type | type == "string" and endswith("_call")) | {name: (.name // .type), id: (.call_id // .id)}],
           input_tokens: (.usage.input_tokens? // null), output_tokens: (.usage.output_tokens? // null), at: .created_at,
           ms: (if (.completed_at | type) == "number" and (.created_at | type) == "number" then (.completed_at - .created_at) * 1000 else null end)}
    else
        (.choices[0] | object | .message | object) as $message
        | {text: (($message.content | said) // $message.refusal // ($message.audio.transcript? // null)),
           calls: ([$message.tool_calls | list | .[] | select(type == "object") | {name: (.function.name? // (.custom.name? // null)), id: .id}]
             + [$message.function_call | select(type == "object") | {name, id: null}]),
           input_tokens: (.usage.prompt_tokens? // null), output_tokens: (.usage.completion_tokens? // null), at: .created}
    end;
# What the customer wrote last, unless something came after it: whoever calls a model again for one answer sends it all again.
def asked:
    if type == "string" then {text: said}
    elif type == "array" and (last | type == "object" and .role == "user") then
      last | (.content | said) as $text
      | if $text == null and (.content | list | length) == 0 then null else {text: $text} end
    else null end;

if type != "object" then reject("is no log of a chat completion or a response") else . end
| if is_chunk then reject("is one piece of a streamed answer: log the whole completion, or a request with the list of its chunks") else . end
| . as $log
| (if is_answer then . elif ((.response.body? // null) | is_answer) then .response.body elif (.response | is_answer) then .response
   elif (.response | type == "array" and length > 0 and all(is_chunk)) then .response | assembled
   elif ((.response.status_code? // null) | type == "number" and . >= 400) or (.error | type) == "object" or ((.response.error? // null) | type) == "object" then null
   else reject("is no log of a chat completion or a response, which has choices or output") end) as $answer
| ($answer | if . == null then {calls: []} else answered end) as $said
| (.request | if type == "object" and (.body | type) == "object" then .body else object end) as $request
| (($answer.metadata | object) + ($request.metadata | object) + ($log.metadata | object)) as $metadata
| ($answer.id // $log.custom_id // $log.id | text) as $id
| {
    conversation_id: (($metadata.conversation_id // $metadata.session_id // $metadata.thread_id // $log.conversation_id
      // $answer.conversation.id? // $id) | text),
    user_id: (($metadata.user_id // $request.user // $answer.user // $request.safety_identifier // $answer.input_user // $log.user_id) | text)
  } as $common
| ($said.at // $log.timestamp // $log.created_at // $log.startTime | time) as $at
| (($log.latency_ms // $log.duration_ms // $log.response_ms // $said.ms // ($log.startTime | milliseconds_to($log.endTime))) | number) as $duration
| (if $duration == null or $at == null then $at else (($at | seconds) * 1000 + $duration | round) | from_milliseconds end) as $end
| (($request.messages // $request.input // $answer.messages // $log.messages // $log.input) | asked) as $question
| ({model: ($answer.model // $request.model // "unknown"), provider: "openai", response_id: $answer.id,
    input_tokens: ($said.input_tokens | number), output_tokens: ($said.output_tokens | number)} | present) as $usage
| (.error // ((.response | object) | .error // (.body | object | .error)) // ($answer | object | .error) | if type == "object" then . else null end) as $error
| if $answer == null and $at == null then reject("is a request that failed, and has no time: log a timestamp with it") else . end
| (if $question != null then $common + {event_id: (["openai", $id, "received"] | named), event_name: "message.received", occurred_at: $at, sequence: 0, attributes: ($question | present)} else empty end),
  (if $answer != null and $duration != null then $common + {event_id: (["openai", $id] | named), event_name: "ai.response", occurred_at: $end, sequence: 1, attributes: ({duration_ms: $duration} + $usage)} else empty end),
  (if $answer == null or $error != null then $common + {event_id: (["openai", $id, "error"] | named), event_name: "system.error", occurred_at: $end, sequence: 1,
      attributes: ({error_class: (($error.code // $error.type // ($log.response.status_code? // null)) | text), error_message: $error.message} | present)} else empty end),
  ($said.calls | to_entries[]
    | $common + {event_id: (["openai", $id, "tool", .key] | named), event_name: "ai.tool_call_started", occurred_at: $end, sequence: 1, attributes: ({tool_name: (.value.name // "unknown"), tool_call_id: .value.id} | present)}),
  (if $said.text != null then $common + {event_id: (["openai", $id, "sent"] | named), event_name: "message.sent", occurred_at: $end, sequence: 2,
      attributes: ({text: $said.text, model: $usage.model} + (if $duration == null then $usage else {} end))} else empty end)
