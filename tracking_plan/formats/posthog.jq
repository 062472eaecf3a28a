# description: Events of PostHog, as its batch exports (JSON lines, Parquet), its API and its webhooks give them.
# recognise: >
#   def is_event: type == "object" and (.event | type) == "string" and (has("distinct_id") or (.properties | object | has("distinct_id")))
#     and (has("properties") or has("uuid") or has("person_id")) and (has("type") | not);
#   type == "object" and (is_event or (.event | is_event) or (has("api_key") and (.batch | list | length > 0 and all(is_event))))
# documents: [results]
# event_names:
#   $pageview: page.viewed
#   $pageleave: page.left
#   $autocapture: page.clicked
#   $rageclick: page.clicked
#   $screen: screen.viewed
#   $identify: user.identified
#   $create_alias: user.aliased
#   $groupidentify: group.identified
#   $exception: system.error
#   $ai_generation: ai.response
#   $ai_span: ai.tool_call_completed
#   $feature_flag_called: experiment.exposed
#   $set: user.identified
#   $ai_feedback: feedback.given
#   $ai_metric: feedback.given
#   survey sent: feedback.given
#   Product Viewed: commerce.view
#   Product Added: commerce.add_to_cart
#   Checkout Started: commerce.checkout
#   Order Completed: commerce.order_completed
#   Order Refunded: commerce.order_refunded
#   Signed Up: user.registered
#   Signed In: user.logged_in
#   Logged In: user.logged_in
#   Signed Out: user.logged_out
#   Logged Out: user.logged_out
#   Page Viewed: page.viewed
#   Screen Viewed: screen.viewed
#   Feedback Given: feedback.given
#   user_signed_up: user.registered
#   user signed up: user.registered
#   sign up: user.registered
#   user_logged_in: user.logged_in
# samples:
#   - document: {"uuid": "018fce2a-7b3c-7000-8000-000000000001", "event": "$pageview", "distinct_id": "ida", "properties": {"$current_url": "https://shop.example/", "$pathname": "/", "$session_id": "s1", "$device_id": "d1", "$lib": "web", "title": "Home"}, "timestamp": "2024-05-31 12:00:00.250000+00:00", "team_id": 1}
#     events:
#       - {"event_id": "018fce2a-7b3c-7000-8000-000000000001", "event_name": "page.viewed", "occurred_at": "2024-05-31 12:00:00.250000+00:00", "user_id": "ida", "session_id": "s1", "source": "web", "attributes": {"url": "https://shop.example/", "path": "/", "title": "Home"}, "anonymous_id": "d1"}
#   - document: {"uuid": "018fce2a-7b3c-7000-8000-000000000002", "event": "$ai_generation", "distinct_id": "ida", "properties": {"$ai_model": "gpt-4o", "$ai_provider": "openai", "$ai_latency": 1.25, "$ai_input_tokens": 12, "$ai_output_tokens": 30, "$ai_trace_id": "t1", "$ai_is_error": false}, "timestamp": "2024-05-31T12:00:01Z"}
#     events:
#       - {"event_id": "018fce2a-7b3c-7000-8000-000000000002", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:01Z", "user_id": "ida", "conversation_id": "t1", "attributes": {"model": "gpt-4o", "provider": "openai", "duration_ms": 1250, "input_tokens": 12, "output_tokens": 30}, "context": {"ai_is_error": false}}
#   - document: {"uuid": "018fce2a-7b3c-7000-8000-000000000003", "event": "Order Completed", "distinct_id": "018fce2a-0000-7000-8000-000000000009", "properties": "{\"order_id\": \"7\", \"revenue\": 12.5, \"$is_identified\": false}", "timestamp": "2024-05-31T12:00:02Z"}
#     events:
#       - {"event_id": "018fce2a-7b3c-7000-8000-000000000003", "event_name": "commerce.order_completed", "occurred_at": "2024-05-31T12:00:02Z", "anonymous_id": "018fce2a-0000-7000-8000-000000000009", "attributes": {"order_id": "7", "revenue": 12.5}, "context": {"is_identified": false}}
#   - document: {"uuid": "018fce2a-7b3c-7000-8000-000000000004", "event": "$feature_flag_called", "distinct_id": "ida", "properties": {"$feature_flag": "new-checkout", "$feature_flag_response": "test"}, "timestamp": "2024-05-31T12:00:03Z"}
#     events:
#       - {"event_id": "018fce2a-7b3c-7000-8000-000000000004", "event_name": "experiment.exposed", "occurred_at": "2024-05-31T12:00:03Z", "user_id": "ida", "attributes": {"experiment": "new-checkout", "variant": "test"}}
#   - document: {"event": {"uuid": "018fce2a-7b3c-7000-8000-000000000005", "event": "$ai_generation", "distinct_id": "ida", "properties": {"$ai_model": "gpt-4o", "$ai_latency": 0.125, "$ai_trace_id": "t2", "$ai_is_error": true, "$ai_total_cost_usd": 0.002, "$ai_input": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, "timestamp": "2024-05-31T12:00:04.000Z"}, "person": {"id": "p-1", "properties": {}}}
#     events:
#       - {"event_id": "018fce2a-7b3c-7000-8000-000000000005", "event_name": "ai.response", "occurred_at": "2024-05-31T12:00:04.000Z", "user_id": "ida", "conversation_id": "t2", "attributes": {"model": "gpt-4o", "duration_ms": 125, "cost": 0.002, "currency": "USD", "is_error": true}, "context": {"ai_is_error": true}}
#       - {"event_id": "posthog:018fce2a-7b3c-7000-8000-000000000005:received", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:04.000Z", "user_id": "ida", "conversation_id": "t2", "attributes": {"text": "Hi"}}
#   - document: {"api_key": "phc_1", "batch": [{"event": "survey sent", "properties": {"distinct_id": "ida", "$survey_id": "s-1", "$survey_response_q-1": "4"}, "timestamp": "2024-05-31T12:00:05Z", "uuid": "018fce2a-7b3c-7000-8000-000000000006"}]}
#     events:
#       - {"event_id": "018fce2a-7b3c-7000-8000-000000000006", "event_name": "feedback.given", "occurred_at": "2024-05-31T12:00:05Z", "sequence": 0, "user_id": "ida", "attributes": {"value": "4"}, "context": {"survey_id": "s-1"}}

# PostHog's own properties begin with a dollar sign; the others are the sender's.
def own: delpaths([keys_unsorted[] | select(startswith("$") or . == "distinct_id" or . == "token") | [.]]);
def posthogs: . as $all | reduce (keys_unsorted[] | select(startswith("$"))) as $key ({}; .[$key[1:]] = $all[$key]);

def event:
if type != "object" or (.event | type) != "string" then reject("is no event of PostHog, which has event and distinct_id") else . end
| (.properties | if type == "string" then (try fromjson catch reject("has properties that are no JSON")) else . end | object) as $properties
| ($properties | posthogs) as $p
| ((.distinct_id // $properties.distinct_id) | text) as $who
# a trace is the sum of its generations and spans, and what was embedded is no answer
| if .event == "$ai_trace" or .event == "$ai_embedding" then empty else . end
| ($p.is_identified == false or $p.process_person_profile == false) as $is_anonymous
| {
    event_id: ((.uuid // .id) | text),
    event_name: .event,
    occurred_at: (.timestamp | time),
    user_id: (if $is_anonymous then null else $who end),
    anonymous_id: (
      if $is_anonymous then $who
      else ($p.anon_distinct_id // $p.device_id) | text | if . == $who then null else . end end),
    session_id: (($p.session_id) | text),
    conversation_id: (($properties.conversation_id // $p.ai_session_id // $p.ai_trace_id) | text),
    source: ($p.lib | text | if . == null then null else .[:32] end),
    attributes: ({
        url: $p.current_url, path: $p.pathname, referrer: $p.referrer, name: $p.screen_name,
        traits: (if .event == "$identify" or .event == "$set" then $p.set else null end),
        experiment: (if .event == "$feature_flag_called" then $p.feature_flag | text else null end),
        variant: (if .event == "$feature_flag_called" then $p.feature_flag_response | text else null end),
        value: (if .event == "survey sent" then
            ($p.survey_response // ([$p | to_entries[] | select(.key | startswith("survey_response_")) | .value | select(. != null)][0]))
          elif .event == "$ai_metric" then $p.ai_metric_value else null end
          | if type == "array" or type == "object" then tojson else . end),
        comment: (if .event == "$ai_feedback" then $p.ai_feedback_text else null end),
        text: (if .event == "$autocapture" then $p.el_text else null end),
        group_type: $p.group_type, group_id: $p.group_key,
        model: $p.ai_model, provider: $p.ai_provider,
        duration_ms: ($p.ai_latency | number | if . == null then null else . * 1000000 | round / 1000 end),
        cost: ($p.ai_total_cost_usd | number), currency: (if $p.ai_total_cost_usd == null then null else "USD" end),
        is_error: (if .event == "$ai_generation" and $p.ai_is_error == true then true else null end),
        input_tokens: $p.ai_input_tokens, output_tokens: $p.ai_output_tokens,
        tool_name: (if .event == "$ai_span" then $p.ai_span_name else null end),
        success: (if .event == "$ai_span" then $p.ai_is_error != true else null end),
        error_class: ($p.exception_type // ($p.exception_list | list | .[0] | object | .type)), error_message: ($p.exception_message // ($p.exception_list | list | .[0] | object | .value))
      } | present) + ($properties | own),
    context: ($p | del(.current_url, .pathname, .referrer, .screen_name, .set, .group_type, .group_key, .ai_model, .ai_provider,
        .ai_latency, .ai_input_tokens, .ai_output_tokens, .ai_span_name, .exception_type, .exception_message, .exception_list,
        .feature_flag, .feature_flag_response, .survey_response, .el_text, .elements,
        .anon_distinct_id, .device_id, .session_id, .ai_trace_id, .ai_session_id, .lib, .ai_input, .ai_output_choices,
        .ai_input_state, .ai_output_state, .ai_tools, .ai_total_cost_usd, .ai_feedback_text, .ai_metric_value)
      | if $p.survey_id == null then . else delpaths([keys_unsorted[] | select(startswith("survey_response")) | [.]]) end
      | if . == {} then null else . end)
  } as $event
| $event,
  # a model call that captured its messages
  (if .event == "$ai_generation" then
    ($event | {occurred_at, user_id, anonymous_id, session_id, conversation_id, source, event_id: .event_id}) as $common
    | ($p.ai_input | if type == "array" then last else . end | if type == "object" and .role != "user" then null else said end) as $question
    | ($p.ai_output_choices | said) as $answer
    | (if $question != null then $common + {event_id: (["posthog", $common.event_id, "received"] | named), event_name: "message.received", attributes: {text: $question}} else empty end),
      (if $answer != null then $common + {event_id: (["posthog", $common.event_id, "sent"] | named), event_name: "message.sent", attributes: {text: $answer}} else empty end)
  else empty end);

# A webhook has its event beside the person, and a client sends a batch of them.
if type == "object" and (.event | type) == "object" then .event | event
elif type == "object" and (.batch | type) == "array" and (has("event") | not) then
  .batch | to_entries[] | .key as $index | .value | event | .sequence = $index
else event end
