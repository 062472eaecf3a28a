# description: Conversations and messages of Chatwoot, as its API lists them and its webhooks send them.
# recognise: >
#   type == "object" and (has("feedback_message") and has("rating") and has("conversation_id") or has("message_type") and has("content") and (has("conversation_id") or has("conversation"))
#     or has("inbox_id") and has("messages") or (.event | type) == "string" and (.event | test("^(message|conversation|webwidget)_")) and (has("account") or has("conversation") or has("inbox_id")))
# documents: [payload, data.payload]
# samples:
#   - document: {"id": 41, "inbox_id": 3, "status": "resolved", "channel": "Channel::WebWidget", "created_at": 1717156800, "meta": {"sender": {"id": 7, "identifier": "ida"}}, "messages": [{"id": 1, "content": "I lost my card", "message_type": 0, "created_at": 1717156800, "private": false, "conversation_id": 41, "sender": {"id": 7, "type": "contact"}}, {"id": 2, "content": "It is blocked", "message_type": 1, "created_at": 1717156800, "private": false, "conversation_id": 41, "sender": {"id": 5, "type": "user"}}, {"id": 3, "content": "Conversation was marked resolved by Ann", "message_type": 2, "created_at": 1717156860, "conversation_id": 41}]}
#     events:
#       - {"event_id": "chatwoot:message:1", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 1, "conversation_id": "41", "user_id": "ida", "source": "WebWidget", "attributes": {"text": "I lost my card", "message_id": 1}}
#       - {"event_id": "chatwoot:message:2", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 2, "conversation_id": "41", "user_id": "ida", "source": "WebWidget", "attributes": {"text": "It is blocked", "message_id": 2, "actor": "human", "agent_id": 5}}
#       - {"event_id": "chatwoot:message:3", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T12:01:00Z", "sequence": 3, "conversation_id": "41", "user_id": "ida", "source": "WebWidget", "attributes": {"resolved_by": "human"}}
#   - document: {"event": "message_created", "id": 9, "content": "Hello", "message_type": "incoming", "created_at": "2024-05-31 12:00:00 UTC", "private": false, "conversation": {"id": 42, "channel": "Channel::Telegram", "contact_inbox": {"source_id": "tg-1"}}, "sender": {"id": 8, "name": "Ida"}, "account": {"id": 1}, "inbox": {"id": 3}}
#     events:
#       - {"event_id": "chatwoot:message:9", "event_name": "message.received", "occurred_at": "2024-05-31 12:00:00Z", "sequence": 9, "conversation_id": "42", "user_id": "8", "source": "Telegram", "attributes": {"text": "Hello", "message_id": 9}}
#   - document: {"event": "conversation_status_changed", "id": 43, "inbox_id": 3, "status": "resolved", "channel": "Channel::WebWidget", "meta": {"sender": {"id": 5}, "assignee": {"id": 1}}, "messages": [], "updated_at": 1717156800.25, "account": {"id": 1}}
#     events:
#       - {"event_id": "chatwoot:resolved:43:1717156800.25", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T12:00:00.25Z", "conversation_id": "43", "user_id": "5", "source": "WebWidget", "attributes": {"resolved_by": "human"}}
#   - parent: {"meta": {"labels": [], "contact": {"id": 7, "identifier": "ida"}}}
#     document: {"id": 5, "content": "Good morning", "message_type": 1, "content_type": "text", "content_attributes": {}, "created_at": 1717156800, "private": false, "conversation_id": 44, "sender": {"id": 5, "name": "Ann Berg", "available_name": "Ann", "type": "user"}}
#     events:
#       - {"event_id": "chatwoot:message:5", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 5, "conversation_id": "44", "user_id": "ida", "attributes": {"text": "Good morning", "message_id": 5, "actor": "human", "agent_id": 5, "agent_name": "Ann"}}
#   - document: {"id": 6, "content": "Please rate us", "message_type": 3, "content_type": "input_csat", "content_attributes": {"submitted_values": {"csat_survey_response": {"rating": 4, "feedback_message": "Fast"}}}, "created_at": 1717156800, "updated_at": 1717156860, "private": false, "conversation_id": 44, "sender": null}
#     events:
#       - {"event_id": "chatwoot:rating:6", "event_name": "conversation.rated", "occurred_at": "2024-05-31T12:01:00Z", "sequence": 6, "conversation_id": "44", "attributes": {"rating": 4, "rating_max": 5, "comment": "Fast"}}
#   - document: {"id": 7, "content": "This message was deleted", "message_type": "outgoing", "content_attributes": {"deleted": true}, "created_at": "2024-05-31T12:00:00.000Z", "private": false, "conversation": {"id": 44, "contact_inbox": {"source_id": "tg-1"}}, "sender_type": "Captain::Assistant", "sender": {"id": 1, "name": "Captain"}}
#     events:
#       - {"event_id": "chatwoot:message:7", "event_name": "message.sent", "actor": "assistant", "occurred_at": "2024-05-31T12:00:00.000Z", "sequence": 7, "conversation_id": "44", "user_id": "tg-1", "attributes": {"message_id": 7, "actor": "assistant"}}
#   - document: {"id": 3, "rating": 2, "feedback_message": "Slow", "account_id": 1, "message_id": 8, "contact": {"id": 7}, "conversation_id": 45, "assigned_agent": {"id": 5}, "created_at": 1717156800}
#     events:
#       - {"event_id": "chatwoot:rating:8", "event_name": "conversation.rated", "occurred_at": "2024-05-31T12:00:00Z", "conversation_id": "45", "user_id": "7", "attributes": {"rating": 2, "rating_max": 5, "comment": "Slow"}}

def channel: text | if . == null then null else ltrimstr("Channel::") | .[:32] end;
def resolved_by($words):
    if ($words | test(" by | resolved by"; "i")) and ($words | test("system|inactiv|automat|bot|captain"; "i") | not) then {resolved_by: "human"} else {resolved_by: "assistant"} end;
# Who writes to the customer: a person, unless the sender is a bot or the message is a rule's or a campaign's.
def is_bot:
    (.sender_type // (.sender | object | .type) | text // "" | ascii_downcase | gsub("[^a-z]"; "") | IN("agentbot", "captainassistant", "bot"))
    or .message_type == "template" or .message_type == 3
    or (.content_attributes | object | .automation_rule_id) != null or (.additional_attributes | object | .campaign_id) != null;
def of_person: {agent_id: (.sender | object | .id), agent_name: (.sender | object | .available_name // .name)};
def message($conversation; $user; $source):
    if type != "object" then reject("holds a message that is no object") else . end
    | (.message_type | if . == 0 then "incoming" elif . == 1 then "outgoing" elif . == 2 then "activity" elif . == 3 then "template" else . end) as $type
    | (.content_attributes | object) as $more
    | (.sender | object) as $sender
    | (if $more.deleted == true then null else .content end) as $text # what stands there then is Chatwoot's
    | ($more.submitted_values | object | .csat_survey_response | object) as $csat
    | {
        occurred_at: (.created_at | time),
        sequence: (.id | if type == "number" then . else null end),
        conversation_id: (($conversation // .conversation_id) | text),
        user_id: (($user // (if $type == "incoming" then $sender.identifier // $sender.id else null end)) | text),
        source: $source
      } as $common
    | {event_id: (["chatwoot:message", .id] | named)} as $these
    | (if .private == true then $these + {event_name: "message.noted", attributes: {text: $text, message_id: .id}}
       elif $type == "incoming" then $these + {event_name: "message.received", attributes: {text: $text, message_id: .id}}
       elif $type == "activity" then
         (.content | text // "") as $words
         | if ($words | test("marked resolved|was resolved|been resolved"; "i")) then $these + {event_name: "conversation.resolved", attributes: resolved_by($words)}
           else empty end
       elif .content_type == "input_csat" then empty # the question for a rating answers nothing
       elif $type == "outgoing" or $type == "template" then
         (if is_bot then $these + {event_name: "message.sent", actor: "assistant", attributes: {text: $text, message_id: .id, actor: "assistant"}}
          else $these + {event_name: "message.sent", actor: "agent", attributes: ({text: $text, message_id: .id, actor: "human"} + of_person)} end)
       else reject("has a message_type that Chatwoot does not know") end
       | $common + . | .attributes |= present | present),
      (if $csat.rating != null then $common + {event_id: (["chatwoot:rating", .id] | named), event_name: "conversation.rated",
          occurred_at: ((.updated_at // .created_at) | time),
          attributes: ({rating: ($csat.rating | number), rating_max: 5, comment: $csat.feedback_message} | present)} | present else empty end);

def contact: ((.meta | object | .sender | object) | .identifier // .id) // ((.contact_inbox | object) | .source_id);
def about: {conversation_id: (.id | text), user_id: (contact | text), source: ((.channel // (.meta | object | .channel)) | channel)};
def created: about + {event_id: (["chatwoot:created", .id] | named), event_name: "conversation.started",
    occurred_at: ((.created_at // .timestamp) | time), attributes: {}} | present;
def resolved: (.updated_at // .last_activity_at // .timestamp) as $at
    | about + {event_id: (["chatwoot:resolved", .id, $at] | named), event_name: "conversation.resolved", occurred_at: ($at | time),
        attributes: (if (.meta | object | .assignee) != null then {resolved_by: "human"} else {} end)} | present;

if type != "object" then reject("is no conversation or message of Chatwoot") else . end
| contact as $user
| ((.channel // (.meta | object | .channel)) | channel) as $source
| if (.messages | type) == "array" and has("message_type") == false and ((.event | type) != "string" or .event == "conversation_created") then
    . as $conversation
    | (if .event == "conversation_created" then created else empty end),
      [.messages[] | message($conversation.id; $user; $source)] as $events
    | $events[],
      # a list of conversations has their last messages only, which may not say that they are resolved
      (if .status == "resolved" and all($events[]; .event_name != "conversation.resolved") then resolved else empty end)
  elif has("message_type") then
    (.conversation | object) as $conversation
    | (($parent | object | .meta | object | .contact | object) | .identifier // .id) as $contact # of the list of one conversation's messages
    | message($conversation.id // $conversation.display_id;
        (if .message_type | IN("incoming", 0) then (.sender | object) | .identifier // .id else null end)
          // $contact // ($conversation | contact);
        ($conversation.channel | channel))
  elif has("rating") and has("feedback_message") then # of the list of survey responses
    (.contact | object) as $contact
    | {event_id: (["chatwoot:rating", .message_id // .id] | named), event_name: "conversation.rated", occurred_at: ((.created_at // .updated_at) | time),
        conversation_id: (.conversation_id | text), user_id: (($contact.identifier // $contact.id) | text),
        attributes: ({rating: (.rating | number), rating_max: 5, comment: .feedback_message} | present)} | present
  elif .event == "conversation_created" then created
  elif (.event == "conversation_status_changed" or .event == "conversation_resolved") and .status == "resolved" then resolved
  elif (.event | type) == "string" then empty
  else reject("is no conversation or message of Chatwoot") end
