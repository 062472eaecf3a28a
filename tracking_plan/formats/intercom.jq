# description: Conversations of Intercom with their parts, as its API gives them (GET /conversations/ID) and its webhooks send them.
# recognise: >
#   type == "object" and ((.type == "conversation" and (has("source") or has("conversation_parts")))
#     or (.type == "notification_event" and has("topic")))
# documents: [conversations]
# samples:
#   - document: {"type": "conversation", "id": "147", "created_at": 1717156800, "updated_at": 1717157400, "state": "closed", "source": {"type": "conversation", "id": "s1", "delivered_as": "customer_initiated", "body": "<p>Where is my order?</p>", "author": {"type": "user", "id": "u-7"}}, "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "u-7", "external_id": "ida"}]}, "conversation_parts": {"type": "conversation_part.list", "conversation_parts": [{"type": "conversation_part", "id": "p1", "part_type": "comment", "body": "<p>Let me look &amp; see.</p>", "created_at": 1717156810, "author": {"type": "bot", "id": "b1"}}, {"type": "conversation_part", "id": "p2", "part_type": "note", "body": "<p>VIP</p>", "created_at": 1717156820, "author": {"type": "admin", "id": "a1"}}, {"type": "conversation_part", "id": "p3", "part_type": "close", "body": null, "created_at": 1717157400, "author": {"type": "admin", "id": "a1"}}]}, "conversation_rating": {"rating": 4, "remark": "Fast", "created_at": 1717157500}}
#     events:
#       - {"event_id": "intercom:147:source", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "147", "user_id": "ida", "source": "conversation", "attributes": {"text": "Where is my order?", "message_id": "s1"}}
#       - {"event_id": "intercom:part:p1", "event_name": "message.sent", "actor": "assistant", "occurred_at": "2024-05-31T12:00:10Z", "sequence": 1, "conversation_id": "147", "user_id": "ida", "source": "conversation", "attributes": {"text": "Let me look & see.", "message_id": "p1", "actor": "assistant"}}
#       - {"event_id": "intercom:part:p2", "event_name": "message.noted", "occurred_at": "2024-05-31T12:00:20Z", "sequence": 2, "conversation_id": "147", "user_id": "ida", "source": "conversation", "attributes": {"text": "VIP", "message_id": "p2"}}
#       - {"event_id": "intercom:end:p3", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T12:10:00Z", "sequence": 3, "conversation_id": "147", "user_id": "ida", "source": "conversation", "attributes": {"resolved_by": "human"}}
#       - {"event_id": "intercom:147:rating", "event_name": "conversation.rated", "occurred_at": "2024-05-31T12:11:40Z", "conversation_id": "147", "user_id": "ida", "source": "conversation", "attributes": {"rating": 0.75, "comment": "Fast"}}

def by_author($author; $words; $id):
    ($author | text // "") as $type
    | if ($type | IN("user", "lead", "contact")) then {event_name: "message.received", attributes: {text: $words, message_id: $id}}
      elif $type == "bot" or $type == "fin" then {event_name: "message.sent", actor: "assistant", attributes: {text: $words, message_id: $id, actor: "assistant"}}
      else {event_name: "message.sent", actor: "agent", attributes: {text: $words, message_id: $id, actor: "human"}} end;

def conversation:
    . as $c
    | {
        conversation_id: (.id | text),
        user_id: ((.contacts.contacts?[0]? | object | present | .external_id // .id) // (if (.source.author.type? | IN("user", "lead")) then .source.author.id else null end) | text),
        source: (.source.type? | text | if . == null then null else .[:32] end)
      } as $common
    | ((.source.body? // .source.subject?) | plain) as $first
    | (if $first != null then $common + {event_id: "intercom:\($c.id):source", occurred_at: ($c.created_at | time), sequence: 0}
        + by_author($c.source.author.type?; $first; $c.source.id) | .attributes |= present | present else empty end),
      ((.conversation_parts.conversation_parts? | list) | to_entries[] | select(.value | type == "object") | (.key + 1) as $at | .value
        | . as $part | (.body | plain) as $text | ($common + {occurred_at: (.created_at | time), sequence: $at}) as $these
        | (if $text == null then empty
           elif .part_type | IN("note", "note_and_reopen") then $these + {event_id: "intercom:part:\($part.id)", event_name: "message.noted", attributes: {text: $text, message_id: .id}} | present
           else $these + {event_id: "intercom:part:\($part.id)"} + by_author($part.author.type?; $text; $part.id) | present end),
          (if .part_type == "close" then $these + {event_id: "intercom:end:\($part.id)", event_name: "conversation.resolved",
              attributes: {resolved_by: (if (.author.type? | IN("bot", "fin", "user", "lead")) then "assistant" else "human" end)}} | present
           else empty end)),
      (.conversation_rating | if type == "object" and (.rating | rating(1; 5)) != null then
          $common + {event_id: "intercom:\($c.id):rating", event_name: "conversation.rated", occurred_at: ((.created_at // $c.updated_at) | time),
            attributes: ({rating: (.rating | rating(1; 5)), comment: .remark} | present)} | present
       elif ($c.ai_agent.rating? | rating(1; 5)) != null then # of Fin, whom no person followed
          $common + {event_id: "intercom:\($c.id):rating", event_name: "conversation.rated", occurred_at: ($c.updated_at | time),
            attributes: ({rating: ($c.ai_agent.rating | rating(1; 5)), comment: $c.ai_agent.rating_remark} | present)} | present
       else empty end),
      (if .ai_agent.resolution_state? == "routed_to_team" then
          $common + {event_id: "intercom:\($c.id):escalated", event_name: "conversation.escalated",
            occurred_at: ((.statistics.first_assignment_at? // .statistics.last_assignment_at? // .updated_at) | time), attributes: {}} | present
       else empty end);

if type != "object" then reject("is no conversation of Intercom") else . end
| if .type == "notification_event" then
    (.data.item? | if type == "object" and .type == "conversation" then conversation else empty end)
  elif .type == "conversation" or has("conversation_parts") then conversation
  else reject("is no conversation of Intercom: its type must be conversation") end
