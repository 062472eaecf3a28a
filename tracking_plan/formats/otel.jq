# description: OpenTelemetry traces and logs as OTLP JSON, one export a line, as the collector's file exporter writes it. Reads GenAI, OpenInference and OpenLLMetry attributes.
# recognise: type == "object" and (has("resourceSpans") or has("resourceLogs") or has("resourceMetrics"))
# samples:
#   - document: {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "helpdesk"}}]}, "scopeSpans": [{"scope": {"name": "openai"}, "spans": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt-4o", "kind": 3, "startTimeUnixNano": "1717156800000000000", "endTimeUnixNano": "1717156801250000000", "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}}, {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}}, {"key": "gen_ai.conversation.id", "value": {"stringValue": "c1"}}, {"key": "user.id", "value": {"stringValue": "ida"}}, {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}}, {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "30"}}, {"key": "gen_ai.input.messages", "value": {"stringValue": "[{\"role\": \"user\", \"parts\": [{\"type\": \"text\", \"content\": \"Where is my order?\"}]}]"}}, {"key": "gen_ai.output.messages", "value": {"stringValue": "[{\"role\": \"assistant\", \"parts\": [{\"type\": \"text\", \"content\": \"On its way.\"}], \"finish_reason\": \"stop\"}]"}}], "status": {}}, {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b175", "name": "execute_tool find_order", "startTimeUnixNano": "1717156800100000000", "endTimeUnixNano": "1717156800300000000", "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}}, {"key": "gen_ai.tool.name", "value": {"stringValue": "find_order"}}, {"key": "gen_ai.conversation.id", "value": {"stringValue": "c1"}}, {"key": "error.type", "value": {"stringValue": "timeout"}}], "status": {"code": 2}}]}]}]}
#     events:
#       - {"event_id": "otel:5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000000Z", "conversation_id": "c1", "user_id": "ida", "source": "helpdesk", "attributes": {"text": "Where is my order?"}}
#       - {"event_id": "otel:5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:01.250000Z", "conversation_id": "c1", "user_id": "ida", "source": "helpdesk", "attributes": {"duration_ms": 1250, "model": "gpt-4o", "provider": "openai", "operation": "chat", "input_tokens": 12, "output_tokens": 30}}
#       - {"event_id": "otel:5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174:sent", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.250000Z", "conversation_id": "c1", "user_id": "ida", "source": "helpdesk", "attributes": {"text": "On its way."}}
#       - {"event_id": "otel:5b8efff798038103d269b633813fc60c:eee19b7ec3c1b175", "event_name": "ai.tool_call_completed", "occurred_at": "2024-05-31T12:00:00.300000Z", "conversation_id": "c1", "source": "helpdesk", "attributes": {"tool_name": "find_order", "success": false, "duration_ms": 200, "error_class": "timeout"}}
#   - document: {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "t1", "spanId": "s1", "name": "retrieve", "startTimeUnixNano": "1717156800000000000", "endTimeUnixNano": "1717156800040000000", "attributes": [{"key": "openinference.span.kind", "value": {"stringValue": "RETRIEVER"}}, {"key": "input.value", "value": {"stringValue": "return policy"}}, {"key": "session.id", "value": {"stringValue": "c2"}}, {"key": "retrieval.documents.0.document.score", "value": {"doubleValue": 0.83}}, {"key": "retrieval.documents.0.document.id", "value": {"stringValue": "d1"}}, {"key": "retrieval.documents.1.document.score", "value": {"doubleValue": 0.4}}], "events": [{"name": "gen_ai.evaluation.result", "timeUnixNano": "1717156810000000000", "attributes": [{"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}}, {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.9}}]}]}]}]}]}
#     events:
#       - {"event_id": "otel:t1:s1", "event_name": "kb.search", "occurred_at": "2024-05-31T12:00:00.040000Z", "conversation_id": "c2", "attributes": {"query": "return policy", "results_count": 2, "duration_ms": 40, "top_score": 0.83}}
#       - {"event_id": "otel:t1:s1:evaluation:0", "event_name": "conversation.scored", "occurred_at": "2024-05-31T12:00:10.000000Z", "conversation_id": "c2", "attributes": {"judge": "unknown", "rubric": "relevance", "overall": 0.9}}
#   - document: {"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "helpdesk"}}]}, "scopeLogs": [{"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "logRecords": [{"timeUnixNano": "1717156800000000000", "observedTimeUnixNano": "1717156800000000001", "eventName": "gen_ai.user.message", "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "Hi"}}]}}, "traceId": "t3", "spanId": "s3"}, {"timeUnixNano": "1717156800000000000", "eventName": "gen_ai.assistant.message", "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "Hello"}}]}}, "traceId": "t3", "spanId": "s3"}, {"timeUnixNano": "1717156800000000000", "attributes": [{"key": "event.name", "value": {"stringValue": "gen_ai.user.message"}}], "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "Where is my order?"}}]}}, "traceId": "t3", "spanId": "s3"}, {"timeUnixNano": "1717156801000000000", "eventName": "gen_ai.choice", "body": {"kvlistValue": {"values": [{"key": "index", "value": {"intValue": "0"}}, {"key": "finish_reason", "value": {"stringValue": "stop"}}, {"key": "message", "value": {"kvlistValue": {"values": [{"key": "role", "value": {"stringValue": "assistant"}}, {"key": "content", "value": {"stringValue": "On its way."}}]}}}]}}, "traceId": "t3", "spanId": "s3"}]}]}]}
#     events:
#       - {"event_id": "otel:t3:s3:gen_ai.user.message:1717156800000000000:2", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000000Z", "conversation_id": "t3", "source": "helpdesk", "attributes": {"text": "Where is my order?"}}
#       - {"event_id": "otel:t3:s3:gen_ai.choice:1717156801000000000:3", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:01.000000Z", "conversation_id": "t3", "source": "helpdesk", "attributes": {"text": "On its way."}}
#   - document: {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [{"traceId": "t4", "spanId": "s4", "name": "openai.chat", "startTimeUnixNano": 1717156800000000000, "endTimeUnixNano": 1717156800500000000, "attributes": [{"key": "llm.request.type", "value": {"stringValue": "chat"}}, {"key": "gen_ai.system", "value": {"stringValue": "OpenAI"}}, {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}}, {"key": "gen_ai.prompt.0.role", "value": {"stringValue": "user"}}, {"key": "gen_ai.prompt.0.content", "value": {"stringValue": "Where is it?"}}, {"key": "gen_ai.completion.0.role", "value": {"stringValue": "assistant"}}, {"key": "gen_ai.completion.0.content", "value": {"stringValue": ""}}, {"key": "gen_ai.completion.0.tool_calls.0.name", "value": {"stringValue": "find_order"}}, {"key": "traceloop.association.properties.session_id", "value": {"stringValue": "c4"}}], "status": {"code": "STATUS_CODE_ERROR"}}, {"traceId": "t4", "spanId": "s5", "name": "openai.embeddings", "startTimeUnixNano": "1717156800000000000", "endTimeUnixNano": "1717156800500000000", "attributes": [{"key": "llm.request.type", "value": {"stringValue": "embedding"}}]}]}]}]}
#     events:
#       - {"event_id": "otel:t4:s4:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.000000Z", "conversation_id": "c4", "attributes": {"text": "Where is it?"}}
#       - {"event_id": "otel:t4:s4", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:00.500000Z", "conversation_id": "c4", "attributes": {"duration_ms": 500, "model": "gpt-4o", "provider": "OpenAI", "is_error": true}}

# Flattened attributes of messages, such as llm.input_messages.0.message.content or gen_ai.prompt.0.content, as messages.
def flattened($prefix; $inner): . as $all
    | [keys[] | select(startswith($prefix)) | ltrimstr($prefix) | split(".")[0] | select(test("^[0-9]+$")) | tonumber] | unique
    | map("\($prefix)\(.)\($inner)" as $at | {role: $all["\($at).role"], content: ($all["\($at).content"]
        // ([range(20) | $all["\($at).contents.\(.).message_content.text"] | select(. != null)] | if . == [] then null else join("\n") end))});
def messages: if type == "string" then (try fromjson catch .) else . end
    | if type == "array" then . elif . == null then [] else [{role: "user", content: .}] end;
def decoded: if type == "string" and (startswith("{") or startswith("[")) then (try fromjson catch .) else . end;
def inputs_of:
    if has("gen_ai.input.messages") then ."gen_ai.input.messages" | messages
    else (flattened("llm.input_messages."; ".message") as $a | if $a != [] then $a else flattened("gen_ai.prompt."; "") end) end;
def outputs_of:
    if has("gen_ai.output.messages") then ."gen_ai.output.messages" | messages
    else (flattened("llm.output_messages."; ".message") as $a | if $a != [] then $a else flattened("gen_ai.completion."; "") end) end;
def score_of($id; $at; $common):
    . as $e
    | ($e."gen_ai.evaluation.score.value" | number) as $score
    | if $score == null then empty else
        $common + {event_id: $id, event_name: "conversation.scored", occurred_at: $at, attributes: ({
            judge: ($e."gen_ai.evaluation.judge" // $e."gen_ai.request.model" // "unknown"), rubric: ($e."gen_ai.evaluation.name" // "evaluation"),
            overall: $score, explanation: $e."gen_ai.evaluation.explanation"} | present)} end;

def span_messages: {
    in: [.[] | if .name | IN("gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message") then
          {role: (.name | split(".")[1]), content: (.content // ."gen_ai.event.content" | decoded)}
        elif .name == "gen_ai.content.prompt" then (."gen_ai.prompt" | messages)[]
        elif .name == "gen_ai.client.inference.operation.details" then (."gen_ai.input.messages" | messages)[] else empty end],
    out: [.[] | if .name == "gen_ai.choice" then (.message // .content // ."gen_ai.event.content" | decoded)
        elif .name == "gen_ai.content.completion" then (."gen_ai.completion" | messages)[]
        elif .name == "gen_ai.client.inference.operation.details" then (."gen_ai.output.messages" | messages)[] else empty end]
  };

def span($resource):
    . as $span
    | (.attributes | otlp_attributes) as $a
    | ($a."openinference.span.kind" // "" | text | ascii_downcase) as $oi
    | ($a."traceloop.span.kind" // "" | text | ascii_downcase) as $traceloop
    | ($a."gen_ai.operation.name" // "" | text) as $operation
    | (.startTimeUnixNano | from_nanoseconds) as $start | ((.endTimeUnixNano // .startTimeUnixNano) | from_nanoseconds) as $end
    | ($start | milliseconds_to($end)) as $duration
    | ((.status | object | .code | IN(2, "STATUS_CODE_ERROR")) or $a."error.type" != null) as $failed
    | (["otel", .traceId, .spanId] | named) as $id
    | ({
        tenant_id: ($a."tenant.id" // $resource."tenant.id"),
        conversation_id: (($a."gen_ai.conversation.id" // $a."session.id" // $a."langfuse.session.id"
          // $a."traceloop.association.properties.session_id" // .traceId) | text),
        user_id: (($a."user.id" // $a."enduser.id" // $a."langfuse.user.id" // $a."traceloop.association.properties.user_id") | text),
        source: ($resource."service.name" | text | if . == null then null else .[:32] end)
      } | present) as $common
    | (if ($operation | IN("chat", "text_completion", "generate_content")) or $oi == "llm" or ($a."llm.request.type" | IN("chat", "completion")) then
        # older conventions put the messages into events of the span
        ([.events | list | .[] | select(type == "object") | .name as $name | .attributes | otlp_attributes | . + {name: $name}] | span_messages) as $told
        | ($a | inputs_of | if . == [] then $told.in else . end) as $in | ($a | outputs_of | if . == [] then $told.out else . end) as $out
        | ($in | last | if type == "object" and .role == "user" then said else null end) as $question
        | ($out | last | said) as $answer
        | (if $question != null then $common + {event_id: ([$id, "received"] | named), event_name: "message.received", occurred_at: $start, attributes: {text: $question}} else empty end),
          ($common + {event_id: $id, event_name: "ai.response", occurred_at: $end, attributes: ({
            duration_ms: $duration,
            model: ($a."gen_ai.response.model" // $a."gen_ai.request.model" // $a."llm.model_name" // "unknown"),
            provider: ($a."gen_ai.provider.name" // $a."gen_ai.system" // $a."llm.provider" // $a."llm.system"),
            operation: $operation, response_id: $a."gen_ai.response.id", finish_reasons: $a."gen_ai.response.finish_reasons",
            input_tokens: (($a."gen_ai.usage.input_tokens" // $a."gen_ai.usage.prompt_tokens" // $a."llm.token_count.prompt") | number),
            output_tokens: (($a."gen_ai.usage.output_tokens" // $a."gen_ai.usage.completion_tokens" // $a."llm.token_count.completion") | number),
            temperature: $a."gen_ai.request.temperature", is_error: (if $failed then true else null end), error_class: $a."error.type"} | present)}),
          (if $answer != null and ($failed | not) then $common + {event_id: ([$id, "sent"] | named), event_name: "message.sent", occurred_at: $end, attributes: {text: $answer}} else empty end)
      elif $operation == "execute_tool" or $oi == "tool" or $traceloop == "tool" then
        $common + {event_id: $id, event_name: "ai.tool_call_completed", occurred_at: $end, attributes: ({
            tool_name: ($a."gen_ai.tool.name" // $a."tool.name" // $a."traceloop.entity.name" // (.name | text | ltrimstr("execute_tool "))),
            tool_call_id: $a."gen_ai.tool.call.id", tool_kind: $a."gen_ai.tool.type",
            success: ($failed | not), duration_ms: $duration, error_class: $a."error.type"} | present)}
      elif $oi == "retriever" or $operation == "retrieval" then
        [$a | keys[] | select(startswith("retrieval.documents.")) | split(".")[2]] as $documents
        | [$a | to_entries[] | select((.key | startswith("retrieval.documents.")) and (.key | endswith(".score"))) | .value | number | select(. != null)] as $scores
        | $common + {event_id: $id, event_name: "kb.search", occurred_at: $end, attributes: ({
            query: (($a."gen_ai.retrieval.query.text" // $a."input.value" // "") | text), results_count: ($documents | unique | length),
            duration_ms: $duration, top_score: ($scores | max), data_source: $a."gen_ai.data_source.id"} | given)}
      elif $oi == "evaluator" then $a | score_of($id; $end; $common)
      else empty end),
      (.events | list | to_entries[] | select(.value | type == "object") | .key as $index | .value | (.attributes | otlp_attributes) as $e
        | (.timeUnixNano | if . == null then $end else from_nanoseconds end) as $at
        | if .name == "exception" then $common + {event_id: ([$id, "exception", $index] | named), event_name: "system.error", occurred_at: $at,
            attributes: ({error_class: $e."exception.type", error_message: $e."exception.message"} | present)}
          elif .name == "gen_ai.evaluation.result" then $e | score_of(([$id, "evaluation", $index] | named); $at; $common)
          else empty end);

def log_name: (.eventName // ((.attributes | otlp_attributes)."event.name") // "") | text;
# $is_history: whether more of what was sent to the model comes after it.
def log($resource; $index; $is_history):
    (.attributes | otlp_attributes) as $a
    | ((.timeUnixNano // .observedTimeUnixNano) | if . == null or . == "0" then null else from_nanoseconds end) as $at
    | log_name as $name
    | (if .traceId == null or .traceId == "" then null else "otel:\(.traceId):\(.spanId // ""):\($name):\(.timeUnixNano // .observedTimeUnixNano):\($index)" end) as $id
    | (.body | otlp_value) as $body
    | ({
        tenant_id: ($a."tenant.id" // $resource."tenant.id"),
        conversation_id: (($a."gen_ai.conversation.id" // $a."session.id" // .traceId) | text | if . == "" then null else . end),
        user_id: (($a."user.id" // $a."enduser.id") | text),
        source: ($resource."service.name" | text | if . == null then null else .[:32] end)
      } | present) as $common
    | if $name == "gen_ai.user.message" and $is_history then empty
      elif $name == "gen_ai.user.message" then $common + {event_id: $id, event_name: "message.received", occurred_at: $at, attributes: ({text: ($body | said)} | present)}
      elif $name == "gen_ai.choice" and ($body | object | .finish_reason | IN("tool_calls", "tool_call", "function_call")) then empty
      elif $name == "gen_ai.choice" then $common + {event_id: $id, event_name: "message.sent", occurred_at: $at, attributes: ({text: ($body | said)} | present)}
      elif $name == "gen_ai.evaluation.result" then $a | score_of($id; $at; $common)
      elif $name == "gen_ai.client.inference.operation.details" then
        ($a | inputs_of | last | if type == "object" and .role == "user" then said else null end) as $question
        | ($a | outputs_of | last | said) as $answer
        | (if $question != null then $common + {event_id: ([$id, "received"] | named), event_name: "message.received", occurred_at: $at, attributes: {text: $question}} else empty end),
          (if $answer != null then $common + {event_id: ([$id, "sent"] | named), event_name: "message.sent", occurred_at: $at, attributes: {text: $answer}} else empty end)
      else empty end;

if type != "object" then reject("is no OTLP export") else . end
| if has("resourceSpans") or has("resourceLogs") or has("resourceMetrics") then . else reject("is no OTLP export, which has resourceSpans or resourceLogs") end
| ((.resourceSpans | list)[] | select(type == "object") | (.resource | object | .attributes | otlp_attributes) as $resource
    | (.scopeSpans // .instrumentationLibrarySpans | list)[] | (object | .spans | list)[] | select(type == "object") | span($resource)),
  ((.resourceLogs | list)[] | select(type == "object") | (.resource | object | .attributes | otlp_attributes) as $resource
    | (.scopeLogs | list)[] | (object | .logRecords | list | map(object)) as $records
    # a call of a model logs all that was said before, too
    | ($records | to_entries | map(select(.value | log_name | IN("gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message"))
        | {key: (.value.spanId | text // ""), value: .key}) | from_entries) as $last
    | $records | to_entries[] | .key as $index | .value | (.spanId | text // "") as $span
    | log($resource; $index; $span != "" and $last[$span] != $index))
