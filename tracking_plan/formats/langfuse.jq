# description: Traces, observations and scores of Langfuse, as its API and its exports to blob storage give them (JSON, JSON lines).
# recognise: >
#   type == "object" and ((has("startTime") or has("start_time")) and (has("traceId") or has("trace_id"))
#     or has("timestamp") and (has("traceId") or has("trace_id")) and (has("dataType") or has("data_type"))
#     or has("timestamp") and has("id") and (has("sessionId") or has("session_id") or has("observations") or has("htmlPath")) and (has("input") or has("output") or has("tags")))
# documents: [data]
# samples:
#   - document: {"id": "tr-1", "timestamp": "2024-05-31T12:00:00.000Z", "name": "chat", "userId": "ida", "sessionId": "c1", "input": "Where is my order?", "output": {"role": "assistant", "content": "On its way."}, "latency": 1.5, "tags": [], "observations": [{"id": "ob-1", "traceId": "tr-1", "type": "GENERATION", "startTime": "2024-05-31T12:00:00.100Z", "endTime": "2024-05-31T12:00:01.350Z", "model": "gpt-4o", "usageDetails": {"input": 12, "output": 30}, "level": "DEFAULT"}], "scores": [{"id": "sc-1", "traceId": "tr-1", "name": "helpful", "value": 0.9, "dataType": "NUMERIC", "source": "EVAL", "timestamp": "2024-05-31T12:05:00Z"}]}
#     events:
#       - {"event_id": "langfuse:tr-1:input", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000Z", "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "Where is my order?"}}
#       - {"event_id": "langfuse:ob-1", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:01.350Z", "conversation_id": "c1", "user_id": "ida", "attributes": {"duration_ms": 1250, "model": "gpt-4o", "input_tokens": 12, "output_tokens": 30}}
#       - {"event_id": "langfuse:tr-1:output", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.500Z", "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "On its way."}}
#       - {"event_id": "langfuse:sc-1", "event_name": "conversation.scored", "occurred_at": "2024-05-31T12:05:00Z", "conversation_id": "c1", "user_id": "ida", "attributes": {"judge": "EVAL", "rubric": "helpful", "overall": 0.9}}
#   - document: {"id": "ob-2", "trace_id": "tr-2", "type": "TOOL", "name": "find_order", "start_time": "2024-05-31 12:00:00.000000", "end_time": "2024-05-31 12:00:00.250000", "level": "ERROR", "user_id": "ida", "session_id": "c2"}
#     events:
#       - {"event_id": "langfuse:ob-2", "event_name": "ai.tool_call_completed", "occurred_at": "2024-05-31 12:00:00.250000Z", "conversation_id": "c2", "user_id": "ida", "attributes": {"tool_name": "find_order", "success": false, "duration_ms": 250}}
#   - document: {"id": "ob-3", "trace_id": "tr-3", "trace_name": "chat", "session_id": "c3", "user_id": "ida", "type": "GENERATION", "parent_observation_id": null, "start_time": "2024-05-31 12:00:00.000000", "end_time": "2024-05-31 12:00:01.000000", "level": "DEFAULT", "cost_details": {"total": 0.002}, "input": "[{\"role\": \"user\", \"content\": \"Hi\"}]", "output": "{\"role\": \"assistant\", \"content\": \"Hello\"}", "provided_model_name": "gpt-4o", "usage_details": {"input": 3, "output": 4}}
#     events:
#       - {"event_id": "langfuse:ob-3:input", "event_name": "message.received", "occurred_at": "2024-05-31 12:00:00.000000Z", "conversation_id": "c3", "user_id": "ida", "attributes": {"text": "Hi"}}
#       - {"event_id": "langfuse:ob-3:output", "event_name": "message.sent", "occurred_at": "2024-05-31 12:00:01.000000Z", "conversation_id": "c3", "user_id": "ida", "attributes": {"text": "Hello"}}
#       - {"event_id": "langfuse:ob-3", "event_name": "ai.response", "occurred_at": "2024-05-31 12:00:01.000000Z", "conversation_id": "c3", "user_id": "ida", "attributes": {"duration_ms": 1000, "model": "gpt-4o", "input_tokens": 3, "output_tokens": 4, "cost": 0.002, "currency": "USD"}}
#   - document: {"id": "tr-4", "timestamp": "2024-05-31T12:00:00.000Z", "name": "answer", "session_id": "c4", "user_id": null, "tags": [], "input": "{\"args\": [\"Where is my order?\"], \"kwargs\": {}}", "output": "\"On its way.\"", "environment": "production"}
#     events:
#       - {"event_id": "langfuse:tr-4:input", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000Z", "conversation_id": "c4", "source": "production", "attributes": {"text": "Where is my order?"}}
#       - {"event_id": "langfuse:tr-4:output", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:00.000Z", "conversation_id": "c4", "source": "production", "attributes": {"text": "On its way."}}
#   - document: {"id": "sc-2", "trace_id": "tr-4", "timestamp": "2024-05-31T12:05:00.000Z", "name": "stars", "value": 4, "data_type": "NUMERIC", "source": "API", "comment": null}
#     events:
#       - {"event_id": "langfuse:sc-2", "event_name": "feedback.given", "occurred_at": "2024-05-31T12:05:00.000Z", "conversation_id": "tr-4", "attributes": {"value": 4, "rubric": "stars"}}

def decoded: if type == "string" and test("^\\s*[{\\[\"]") then (try fromjson catch .) else . end;
# What a decorated function was called with: its only text, or what is called a question.
def called:
    if type == "object" and (has("args") or has("kwargs")) then
        (.kwargs | object | .question // .query // .input // .message // .text // .prompt // .messages) // ([.args | list | .[] | select(type == "string" or type == "array")][0]) // .kwargs
    else . end;
def worded: decoded | called | said;
def common($around): ({
    conversation_id: ((.sessionId // .session_id // $around.conversation_id // .traceId // .trace_id) | text),
    user_id: ((.userId // .user_id // (.trace | object | .userId) // $around.user_id) | text),
    source: (.environment | text | if . == null or . == "default" then null else .[:32] end)
  } | present);

def observation($around):
    common($around) as $common
    | ((.startTime // .start_time) | time) as $start | ((.endTime // .end_time // .startTime // .start_time) | time) as $end
    # without an end it is not known how long it took
    | (if (.endTime // .end_time) == null then .latency | number | if . == null then null else . * 1000 end else $start | milliseconds_to($end) end) as $duration
    | (.usageDetails // .usage_details // .usage | decoded | object) as $usage
    | ((.costDetails // .cost_details | decoded | object | .total) // .calculatedTotalCost // .totalCost // .total_cost | number) as $cost
    | (.type | text // "" | ascii_upcase) as $type
    | (["langfuse", .id] | named) as $id
    # exports of observations with their trace's fields come without the traces: the outermost holds the messages
    | (if $around == {} and (has("trace_name") or has("traceName")) and (.parent_observation_id // .parentObservationId) == null then
        (.input | worded) as $question | (.output | decoded | said) as $answer
        | (if $question != null then $common + {event_id: ([$id, "input"] | named), event_name: "message.received", occurred_at: $start, attributes: {text: $question}} else empty end),
          (if $answer != null then $common + {event_id: ([$id, "output"] | named), event_name: "message.sent", occurred_at: $end, attributes: {text: $answer}} else empty end)
      else empty end),
      if $type == "GENERATION" then $common + {event_id: $id, event_name: "ai.response", occurred_at: $end, attributes: ({
          duration_ms: $duration, model: (.model // .providedModelName // .provided_model_name // "unknown"),
          input_tokens: (($usage.input // $usage.promptTokens // .promptTokens) | number),
          output_tokens: (($usage.output // $usage.completionTokens // .completionTokens) | number),
          cost: $cost, currency: (if $cost == null then null else "USD" end), is_error: (if .level == "ERROR" then true else null end)} | present)}
      elif $type == "TOOL" then $common + {event_id: $id, event_name: "ai.tool_call_completed", occurred_at: $end, attributes: ({
          tool_name: (.name // "unknown"), success: (.level != "ERROR"), duration_ms: $duration} | present)}
      elif $type == "RETRIEVER" then (.output | decoded | if type == "array" then length else 0 end) as $results
        | $common + {event_id: $id, event_name: "kb.search", occurred_at: $end, attributes: ({
          query: (.input | worded // ""), results_count: $results, duration_ms: $duration} | given)}
      elif .level == "ERROR" then $common + {event_id: $id, event_name: "system.error", occurred_at: $end, attributes: ({
          error_class: .name, error_message: (.statusMessage // .status_message)} | present)}
      else empty end;

def score($around):
    (.value | number) as $value
    | (["langfuse", .id] | named) as $id
    | common($around) + {event_id: $id, occurred_at: ((.timestamp // .createdAt // .created_at) | time)}
      + if $value != null and $value >= 0 and $value <= 1 and ((.dataType // .data_type) | IN("CATEGORICAL") | not) then
          {event_name: "conversation.scored", attributes: ({judge: (.source // "unknown"), rubric: (.name // "score"), overall: $value, explanation: .comment} | present)}
        else {event_name: "feedback.given", attributes: ({value: (.stringValue // .string_value // .value), comment, rubric: .name} | present)} end;

def trace:
    {conversation_id: ((.sessionId // .session_id // .id) | text), user_id: ((.userId // .user_id) | text)} as $around
    | common($around) as $common | (.timestamp | time) as $at
    | (.latency | number) as $latency
    | (.input | worded) as $question | (.output | decoded | said) as $answer
    | (["langfuse", .id] | named) as $id
    | (if $question != null then $common + {event_id: ([$id, "input"] | named), event_name: "message.received", occurred_at: $at, attributes: {text: $question}} else empty end),
      ((.observations | list)[] | select(type == "object") | observation($around)),
      (if $answer != null then $common + {event_id: ([$id, "output"] | named), event_name: "message.sent",
          occurred_at: (if $latency == null or $at == null then $at else (($at | seconds) + $latency) * 1000 | round | from_milliseconds end),
          attributes: {text: $answer}} else empty end),
      ((.scores | list)[] | select(type == "object") | score($around));

if type != "object" then reject("is no trace, observation or score of Langfuse") else . end
| if has("startTime") or has("start_time") then observation({})
  elif (has("value") or has("stringValue") or has("string_value")) and (has("traceId") or has("trace_id") or has("sessionId")) then score({})
  elif has("id") and has("timestamp") then trace
  else reject("is no trace, observation or score of Langfuse: it has none of their fields") end
