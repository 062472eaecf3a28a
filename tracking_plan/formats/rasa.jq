# description: Conversations of Rasa, as tracker stores and the tracker API hold them, or single events of its event broker.
# recognise: >
#   type == "object" and has("sender_id") and ((.events | type) == "array"
#     or ((.event | type) == "string" and has("timestamp")))
# samples:
#   - document: {"sender_id": "ida", "slots": {"city": null}, "events": [{"event": "action", "timestamp": 1717156799.5, "name": "action_session_start"}, {"event": "session_started", "timestamp": 1717156799.6}, {"event": "user", "timestamp": 1717156800.25, "text": "I lost my card", "message_id": "m1", "input_channel": "webchat", "parse_data": {"intent": {"name": "lost_card", "confidence": 0.97}}}, {"event": "action", "timestamp": 1717156800.3, "name": "action_default_fallback"}, {"event": "bot", "timestamp": 1717156800.75, "text": "Sorry?", "data": {}}]}
#     events:
#       - {"event_id": "rasa:ida:1717156799.6:session_started", "event_name": "conversation.started", "occurred_at": "2024-05-31T11:59:59.6Z", "sequence": 1, "conversation_id": "ida", "user_id": "ida", "attributes": {}}
#       - {"event_id": "rasa:ida:1717156800.25:user", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00.25Z", "sequence": 2, "conversation_id": "ida", "user_id": "ida", "source": "webchat", "attributes": {"text": "I lost my card", "message_id": "m1", "intent": "lost_card"}}
#       - {"event_id": "rasa:ida:1717156800.75:bot", "event_name": "message.sent", "occurred_at": "2024-05-31T12:00:00.75Z", "sequence": 4, "conversation_id": "ida", "user_id": "ida", "attributes": {"text": "Sorry?", "is_fallback": true}}

def is_fallback($action): $action | text // "" | IN("action_default_fallback", "utter_default", "utter_fallback", "utter_please_rephrase", "action_default_ask_rephrase", "action_two_stage_fallback");
def one($sender; $at; $action):
    (.event | text) as $kind
    | ($kind | IN("user", "bot", "session_started")) as $counts
    | if $counts | not then empty else
        {
          event_id: "rasa:\($sender):\(.timestamp):\($kind)",
          occurred_at: (.timestamp | if . == null then null else from_seconds end),
          sequence: $at, conversation_id: $sender, user_id: $sender, source: (.input_channel | text | if . == null then null else .[:32] end)
        }
        + (if $kind == "user" then {event_name: "message.received", attributes: ({text, message_id, intent: .parse_data.intent.name?} | present)}
           elif $kind == "bot" then {event_name: "message.sent", attributes: (({text: (.text // .data.text?)} | present) + (if is_fallback($action // .metadata.utter_action?) then {is_fallback: true} else {} end))}
           else {event_name: "conversation.started", attributes: {}} end)
        | present
      end;

if type != "object" or (has("sender_id") | not) then reject("is no tracker or event of Rasa, which has sender_id") else . end
| (.sender_id | text) as $sender
| if (.events | type) == "array" then
    foreach (.events | to_entries[] | select(.value | type == "object")) as $entry ({action: null};
      if $entry.value.event == "action" then .action = $entry.value.name elif $entry.value.event == "user" then .action = null else . end;
      .action as $action | $entry.value | one($sender; $entry.key; $action))
  else one($sender; null; null) end
