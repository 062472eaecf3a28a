# description: Logs of chat completions in OpenAI's shape - stored completions, pairs of request and response, or lines of a batch's output.
# recognise: >
#   type == "object" and (.object == "chat.completion" or (.response.object? == "chat.completion") or (.response.body.object? == "chat.completion")
#     or ((.request.messages? | type) == "array" and has("response")))
# documents: [data]
# samples:
#   - document: {"request": {"model": "gpt-4o", "user": "ida", "metadata": {"conversation_id": "c1"}, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "I lost my card"}]}, "response": {"id": "chatcmpl-1", "object": "chat.completion", "created": 1717156800, "model": "gpt-4o-2024-05-13", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Block it at once."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 12, "completion_tokens": 30}}, "latency_ms": 1250}
#     events:
#       - {"event_id": "openai:chatcmpl-1:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "I lost my card"}}
#       - {"event_id": "openai:chatcmpl-1", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:01.250Z", "sequence": 1, "conversation_id": "c1", "user_id": "ida", "attributes": {"duration_ms": 1250, "model": "gpt-4o-2024-05-13", "provider": "openai", "response_id": "chatcmpl-1", "input_tokens": 12, "output_tokens": 30}}
#       - {"event_id": "openai:chatcmpl-1:sent", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.250Z", "sequence": 2, "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "Block it at once.", "model": "gpt-4o-2024-05-13"}}

if type != "object" then reject("is no log of a chat completion") else . end
| . as $log
| (if .object == "chat.completion" then . elif (.response.body? | type) == "object" then .response.body elif (.response | type) == "object" then .response else reject("is no log of a chat completion, which has choices") end) as $answer
| if ($answer.choices | type) != "array" then reject("is no log of a chat completion, which has choices") else . end
| (.request | object) as $request
| (($answer.metadata | object) + ($request.metadata | object) + ($log.metadata | object)) as $metadata
| ($answer.id // $log.custom_id // $log.id | text) as $id
| {
    conversation_id: (($metadata.conversation_id // $metadata.session_id // $metadata.thread_id // $log.conversation_id // $id) | text),
    user_id: (($metadata.user_id // $request.user // $answer.input_user // $log.user_id) | text)
  } as $common
| ($answer.created | if . == null then ($log.timestamp // $log.created_at | time) else time end) as $at
| (($log.latency_ms // $log.duration_ms // $log.response_ms) | number) as $duration
| (if $duration == null or $at == null then $at else (($at | seconds) * 1000 + $duration | round) | from_milliseconds end) as $end
| ($answer.choices[0].message? | object) as $message
| (($request.messages // $answer.messages // $log.messages) | if type == "array" then last else null end | if type == "object" and .role == "user" then said else null end) as $question
| ($message.content | said) as $text
| ({model: ($answer.model // $request.model // "unknown"), provider: "openai", response_id: $answer.id,
    input_tokens: ($answer.usage.prompt_tokens? | number), output_tokens: ($answer.usage.completion_tokens? | number)} | present) as $usage
| (if $question != null then $common + {event_id: "openai:\($id):received", event_name: "message.received", occurred_at: $at, sequence: 0, attributes: {text: $question}} | present else empty end),
  (if $duration != null then $common + {event_id: "openai:\($id)", event_name: "ai.response", occurred_at: $end, sequence: 1, attributes: ({duration_ms: $duration} + $usage)} | present else empty end),
  (($message.tool_calls | list) | to_entries[] | select(.value | type == "object")
    | $common + {event_id: "openai:\($id):tool:\(.key)", event_name: "ai.tool_call_started", occurred_at: $end, sequence: 1, attributes: ({tool_name: (.value.function.name? // "unknown"), tool_call_id: .value.id} | present)} | present),
  (if $text != null then $common + {event_id: "openai:\($id):sent", event_name: "message.sent", occurred_at: $end, sequence: 2,
      attributes: ({text: $text, model: $usage.model} + (if $duration == null then $usage else {} end))} | present else empty end)
