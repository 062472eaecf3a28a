# description: Logs of chat completions and responses in OpenAI's shapes - stored ones, pairs of request and response, or lines of a batch's output.
# recognise: >
#   def is_answer: . == "chat.completion" or . == "response";
#   type == "object" and ((.object | is_answer) or (.response.object? | is_answer) or (.response.body.object? | is_answer)
#     or ((.request.messages? | type) == "array" and has("response")))
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

# What answers a request, of either API, as one shape.
def is_answer: type == "object" and ((.choices | type) == "array" or .object == "response" and (.output | type) == "array");
def answered:
    if .object == "response" then
        [.output[] | select(type == "object")] as $items
        | {text: ([$items[] | select(.type == "message") | .content | said] | map(select(. != null)) | if . == [] then null else join("\n") end),
           calls: [$items[] | select(.type | type == "string" and endswith("_call")) | {name: (.name // .type), id: (.call_id // .id)}],
           input_tokens: .usage.input_tokens?, output_tokens: .usage.output_tokens?, at: .created_at,
           ms: (if (.completed_at | type) == "number" and (.created_at | type) == "number" then (.completed_at - .created_at) * 1000 else null end)}
    else
        (.choices[0] | object | .message | object) as $message
        | {text: ($message.content | said),
           calls: [$message.tool_calls | list | .[] | select(type == "object") | {name: .function.name?, id: .id}],
           input_tokens: .usage.prompt_tokens?, output_tokens: .usage.completion_tokens?, at: .created}
    end;

if type != "object" then reject("is no log of a chat completion or a response") else . end
| . as $log
| (if is_answer then . elif (.response.body? | is_answer) then .response.body elif (.response | is_answer) then .response
   elif (.response.status_code? | type == "number" and . >= 400) or (.error | type) == "object" then
     reject("is a request that failed: it has no answer")
   else reject("is no log of a chat completion or a response, which has choices or output") end) as $answer
| ($answer | answered) as $said
| (.request | if type == "object" and (.body | type) == "object" then .body else object end) as $request
| (($answer.metadata | object) + ($request.metadata | object) + ($log.metadata | object)) as $metadata
| ($answer.id // $log.custom_id // $log.id | text) as $id
| {
    conversation_id: (($metadata.conversation_id // $metadata.session_id // $metadata.thread_id // $log.conversation_id
      // $answer.conversation.id? // $id) | text),
    user_id: (($metadata.user_id // $request.user // $answer.user // $request.safety_identifier // $answer.input_user // $log.user_id) | text)
  } as $common
| ($said.at | if . == null then ($log.timestamp // $log.created_at | time) else time end) as $at
| (($log.latency_ms // $log.duration_ms // $log.response_ms // $said.ms) | number) as $duration
| (if $duration == null or $at == null then $at else (($at | seconds) * 1000 + $duration | round) | from_milliseconds end) as $end
| (($request.messages // $request.input // $answer.messages // $log.messages // $log.input)
    | if type == "string" then said
      elif type == "array" then (last | if type == "object" and .role == "user" then said else null end) else null end) as $question
| ({model: ($answer.model // $request.model // "unknown"), provider: "openai", response_id: $answer.id,
    input_tokens: ($said.input_tokens | number), output_tokens: ($said.output_tokens | number)} | present) as $usage
| (if $question != null then $common + {event_id: "openai:\($id):received", event_name: "message.received", occurred_at: $at, sequence: 0, attributes: {text: $question}} else empty end),
  (if $duration != null then $common + {event_id: "openai:\($id)", event_name: "ai.response", occurred_at: $end, sequence: 1, attributes: ({duration_ms: $duration} + $usage)} else empty end),
  ($said.calls | to_entries[]
    | $common + {event_id: "openai:\($id):tool:\(.key)", event_name: "ai.tool_call_started", occurred_at: $end, sequence: 1, attributes: ({tool_name: (.value.name // "unknown"), tool_call_id: .value.id} | present)}),
  (if $said.text != null then $common + {event_id: "openai:\($id):sent", event_name: "message.sent", occurred_at: $end, sequence: 2,
      attributes: ({text: $said.text, model: $usage.model} + (if $duration == null then $usage else {} end))} else empty end)
