# description: Conversations of Rasa, as tracker stores and the tracker API hold them, or single events of its event broker.
# recognise: >
#   type == "object" and has("sender_id") and ((.events | type) == "array"
#     or ((.event | type) == "string" and has("timestamp")) or (has("type_name") and has("data")))
# samples:
#   - document: {"sender_id": "ida", "slots": {"city": null}, "events": [{"event": "action", "timestamp": 1717156799.5, "name": "action_session_start"}, {"event": "session_started", "timestamp": 1717156799.6}, {"event": "user", "timestamp": 1717156800.25, "text": "I lost my card", "message_id": "m1", "input_channel": "webchat", "parse_data": {"intent": {"name": "lost_card", "confidence": 0.97}}}, {"event": "action", "timestamp": 1717156800.3, "name": "action_default_fallback"}, {"event": "bot", "timestamp": 1717156800.75, "text": "Sorry?", "data": {}}]}
#     events:
#       - {"event_id": "rasa:ida:1717156799.6:session_started", "event_name": "conversation.started", "occurred_at": "2024-05-31T11:59:59.6Z", "sequence": 1, "conversation_id": "ida", "user_id": "ida", "attributes": {}}
#       - {"event_id": "rasa:ida:1717156800.25:user", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.25Z", "sequence": 2, "conversation_id": "ida", "user_id": "ida", "source": "webchat", "attributes": {"text": "I lost my card", "message_id": "m1", "intent": "lost_card"}}
#       - {"event_id": "rasa:ida:1717156800.75:bot", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:00.75Z", "sequence": 4, "conversation_id": "ida", "user_id": "ida", "attributes": {"text": "Sorry?", "is_fallback": true}}
#   - document: {"sender_id": "eva", "events": [{"event": "user", "timestamp": 1717156800, "text": "/session_start", "parse_data": {"intent": {"name": "session_start"}}}, {"event": "user", "timestamp": 1717156801, "text": "hi", "input_channel": null, "message_id": null}, {"event": "bot", "timestamp": 1717156802.211031, "text": "Hello"}, {"event": "bot", "timestamp": 1717156802.211031, "text": "Who are you?", "data": {"buttons": []}}, {"event": "agent", "timestamp": 1717156803, "text": "Ann here"}]}
#     events:
#       - {"event_id": "rasa:eva:1717156801:user", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:01Z", "sequence": 1, "conversation_id": "eva", "user_id": "eva", "attributes": {"text": "hi"}}
#       - {"event_id": "rasa:eva:1717156802.211031:bot", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:02.211031Z", "sequence": 2, "conversation_id": "eva", "user_id": "eva", "attributes": {"text": "Hello"}}
#       - {"event_id": "rasa:eva:1717156802.211031:bot:1", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:02.211031Z", "sequence": 3, "conversation_id": "eva", "user_id": "eva", "attributes": {"text": "Who are you?"}}
#       - {"event_id": "rasa:eva:1717156803:agent", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:03Z", "sequence": 4, "conversation_id": "eva", "user_id": "eva", "attributes": {"text": "Ann here", "actor": "human"}}
#   - document: {"id": 7, "sender_id": "eva", "type_name": "user", "timestamp": 1717156804.5, "intent_name": "greet", "data": "{\"event\": \"user\", \"timestamp\": 1717156804.5, \"text\": \"hi\", \"parse_data\": {\"intent\": {\"name\": \"greet\"}}}"}
#     events:
#       - {"event_id": "rasa:eva:1717156804.5:user", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:04.5Z", "conversation_id": "eva", "user_id": "eva", "attributes": {"text": "hi", "intent": "greet"}}

def is_fallback($action): $action | text // "" | IN("action_default_fallback", "utter_default", "utter_fallback", "utter_please_rephrase", "action_default_ask_rephrase", "action_two_stage_fallback");
# What starts a session or comes from a timer is written as a user's message, and is none.
def is_trigger: (.text | text // "" | . == "/session_start" or startswith("EXTERNAL: ")) or (.parse_data.intent.name? // null) == "session_start";
# $nth: the so many-th of its kind in one instant, where that can be known.
def one($sender; $at; $action; $nth):
    (.event | text) as $kind
    | if ($kind | IN("user", "bot", "agent", "session_started") | not) or ($kind == "user" and is_trigger) then empty else
        {
          event_id: ((["rasa", $sender, .timestamp, $kind] + (if $nth == 0 then [] else [$nth] end)) | named),
          occurred_at: (.timestamp | time),
          sequence: $at, conversation_id: $sender, user_id: $sender, source: (.input_channel | text | if . == null then null else .[:32] end)
        }
        + (if $kind == "user" then {event_name: "message.received", attributes: ({text, message_id, intent: (.parse_data.intent.name? // null)} | present)}
           elif $kind == "bot" then {event_name: "message.sent", attributes: (({text: (.text // (.data.text? // null))} | present) + (if is_fallback($action // (.metadata.utter_action? // null)) then {is_fallback: true} else {} end))}
           elif $kind == "agent" then {event_name: "message.sent", actor: "agent", attributes: ({text: (.text // (.data.text? // null)), actor: "human"} | present)}
           else {event_name: "conversation.started", attributes: {}} end)
        | present
      end;

if type != "object" or (has("sender_id") | not) then reject("is no tracker or event of Rasa, which has sender_id") else . end
| (.sender_id | text) as $sender
| if (.events | type) == "array" then
    foreach (.events | to_entries[] | select(.value | type == "object")) as $entry ({action: null, seen: {}};
      "\($entry.value.timestamp) \($entry.value.event)" as $place
      | .nth = (.seen[$place] // 0) | .seen[$place] = .nth + 1
      | if $entry.value.event == "action" then .action = $entry.value.name elif $entry.value.event == "user" then .action = null else . end;
      .action as $action | .nth as $nth | $entry.value | one($sender; $entry.key; $action; $nth))
  # a row of the SQL tracker store holds its event as a text
  elif has("type_name") and has("data") then
    (.data | if type == "string" then (try fromjson catch reject("has a data that is no JSON")) else . end | object)
    + {sender_id: $sender} | one($sender; null; null; 0)
  else one($sender; null; null; 0) end
