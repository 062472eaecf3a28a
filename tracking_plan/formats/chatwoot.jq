# description: Conversations and messages of Chatwoot, as its API lists them and its webhooks send them.
# recognise: >
#   type == "object" and (has("message_type") and has("content") and (has("conversation_id") or has("conversation"))
#     or has("inbox_id") and has("messages") or (.event | type) == "string" and (.event | test("^(message|conversation|webwidget)_")) and (has("account") or has("conversation") or has("inbox_id")))
# documents: [payload, data.payload]
# samples:
#   - document: {"id": 41, "inbox_id": 3, "status": "resolved", "channel": "Channel::WebWidget", "created_at": 1717156800, "meta": {"sender": {"id": 7, "identifier": "ida"}}, "messages": [{"id": 1, "content": "I lost my card", "message_type": 0, "created_at": 1717156800, "private": false, "conversation_id": 41, "sender": {"id": 7, "type": "contact"}}, {"id": 2, "content": "It is blocked", "message_type": 1, "created_at": 1717156800, "private": false, "conversation_id": 41, "sender": {"id": 5, "type": "user"}}, {"id": 3, "content": "Conversation was marked resolved by Ann", "message_type": 2, "created_at": 1717156860, "conversation_id": 41}]}
#     events:
#       - {"event_id": "chatwoot:message:1", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 1, "conversation_id": "41", "user_id": "ida", "source": "WebWidget", "attributes": {"text": "I lost my card", "message_id": 1}}
#       - {"event_id": "chatwoot:message:2", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 2, "conversation_id": "41", "user_id": "ida", "source": "WebWidget", "attributes": {"text": "It is blocked", "message_id": 2, "actor": "human"}}
#       - {"event_id": "chatwoot:message:3", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T12:01:00Z", "sequence": 3, "conversation_id": "41", "user_id": "ida", "source": "WebWidget", "attributes": {"resolved_by": "human"}}
#   - document: {"event": "message_created", "id": 9, "content": "Hello", "message_type": "incoming", "created_at": "2024-05-31 12:00:00 UTC", "private": false, "conversation": {"id": 42, "channel": "Channel::Telegram", "contact_inbox": {"source_id": "tg-1"}}, "sender": {"id": 8, "name": "Ida"}, "account": {"id": 1}, "inbox": {"id": 3}}
#     events:
#       - {"event_id": "chatwoot:message:9", "event_name": "message.received", "occurred_at": "2024-05-31 12:00:00Z", "sequence": 9, "conversation_id": "42", "user_id": "8", "source": "Telegram", "attributes": {"text": "Hello", "message_id": 9}}
#   - document: {"event": "conversation_status_changed", "id": 43, "inbox_id": 3, "status": "resolved", "channel": "Channel::WebWidget", "meta": {"sender": {"id": 5}, "assignee": {"id": 1}}, "messages": [], "updated_at": 1717156800.25, "account": {"id": 1}}
#     events:
#       - {"event_id": "chatwoot:resolved:43:1717156800.25", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T12:00:00.25Z", "conversation_id": "43", "user_id": "5", "source": "WebWidget", "attributes": {"resolved_by": "human"}}

def channel: text | if . == null then null else ltrimstr("Channel::") | .[:32] end;
def message($conversation; $user; $source):
    if type != "object" then reject("holds a message that is no object") else . end
    | (.message_type | if . == 0 then "incoming" elif . == 1 then "outgoing" elif . == 2 then "activity" elif . == 3 then "template" else . end) as $type
    | (.sender.type? // (if $type == "outgoing" then "user" else "contact" end) | text | ascii_downcase) as $sender
    | (.content_attributes.submitted_values.csat_survey_response?) as $csat
    | {
        event_id: "chatwoot:message:\(.id)",
        occurred_at: (.created_at | time),
        sequence: (.id | if type == "number" then . else null end),
        conversation_id: (($conversation // .conversation_id) | text),
        user_id: (($user // (if $type == "incoming" then (.sender.identifier? // .sender.id?) else null end)) | text),
        source: $source
      } as $common
    | (if .private == true then {event_name: "message.noted", attributes: {text: .content, message_id: .id}}
       elif $type == "incoming" then {event_name: "message.received", attributes: {text: .content, message_id: .id}}
       elif $type == "activity" then
         (.content | text // "") as $words
         | if ($words | test("marked resolved|was resolved|been resolved"; "i")) then
             {event_name: "conversation.resolved", attributes: (if ($words | test(" by | resolved by"; "i")) and ($words | test("system|inactiv|automat|bot"; "i") | not) then {resolved_by: "human"} else {resolved_by: "assistant"} end)}
           else empty end
       elif $type == "outgoing" or $type == "template" then
         (if $sender == "agent_bot" or $sender == "agentbot" or $sender == "captain_assistant" or $type == "template" then {event_name: "message.sent", actor: "assistant", attributes: {text: .content, message_id: .id, actor: "assistant"}}
          else {event_name: "message.sent", actor: "agent", attributes: {text: .content, message_id: .id, actor: "human"}} end)
       else reject("has a message_type that Chatwoot does not know") end
       | $common + . | .attributes |= present | present),
      (if $csat != null then $common + {event_id: "chatwoot:rating:\(.id)", event_name: "conversation.rated",
          occurred_at: ((.updated_at // .created_at) | time),
          attributes: ({rating: ($csat.rating? | rating(1; 5)), comment: $csat.feedback_message?} | present)} | present else empty end);

def about: {
    conversation_id: (.id | text), user_id: ((.meta.sender.identifier? // .meta.sender.id? // .contact_inbox.source_id?) | text),
    source: ((.channel // .meta.channel?) | channel)
  };
def created: about + {event_id: "chatwoot:created:\(.id)", event_name: "conversation.started",
    occurred_at: ((.created_at // .timestamp) | time), attributes: {}};
def resolved: (.updated_at // .last_activity_at // .timestamp) as $at
    | about + {event_id: "chatwoot:resolved:\(.id):\($at)", event_name: "conversation.resolved", occurred_at: ($at | time),
        attributes: (if .meta.assignee? != null then {resolved_by: "human"} else {} end)};

if type != "object" then reject("is no conversation or message of Chatwoot") else . end
| (.meta.sender? | object) as $sender | ($sender.identifier // $sender.id // .contact_inbox.source_id?) as $user
| ((.channel // .meta.channel?) | channel) as $source
| if (.messages | type) == "array" and has("message_type") == false and ((.event | type) != "string" or .event == "conversation_created") then
    . as $conversation
    | (if .event == "conversation_created" then created else empty end),
      [.messages[] | message($conversation.id; $user; $source)] as $events
    | $events[],
      # a list of conversations has their last messages only, which may not say that they are resolved
      (if .status == "resolved" and all($events[]; .event_name != "conversation.resolved") then resolved else empty end)
  elif has("message_type") then
    message((.conversation.id? // .conversation.display_id?); (if .message_type | IN("incoming", 0) then (.sender.identifier? // .sender.id?) else .conversation.contact_inbox.source_id? end); (.conversation.channel? | channel))
  elif .event == "conversation_created" then created
  elif (.event == "conversation_status_changed" or .event == "conversation_resolved") and .status == "resolved" then resolved
  elif (.event | type) == "string" then empty
  else reject("is no conversation or message of Chatwoot") end
