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
#       - {"event_id": "intercom:147:rating", "event_name": "conversation.rated", "occurred_at": "2024-05-31T12:11:40Z", "conversation_id": "147", "user_id": "ida", "source": "conversation", "attributes": {"rating": 4, "rating_max": 5, "comment": "Fast"}}
#   - document: {"type": "conversation", "id": 148, "created_at": 1717156800, "updated_at": 1717157400, "state": "closed", "open": false, "source": {"type": "email", "id": "9", "delivered_as": "customer_initiated", "subject": "<p>Card</p>", "body": "", "author": {"type": "lead", "id": "l-1"}, "attachments": []}, "contacts": {"type": "contact.list", "contacts": []}, "statistics": {"last_close_at": 1717157400}, "conversation_parts": {"conversation_parts": [{"type": "conversation_part", "id": "7288120839", "part_type": "comment", "body": "<p>It is <b>blocked</b></p>", "created_at": 1717156810, "author": {"type": "admin", "id": "a1", "name": "Fin", "from_ai_agent": true, "is_ai_answer": true}}, {"type": "conversation_part", "id": "7288120840", "part_type": "comment", "body": null, "created_at": 1717156820, "author": {"type": "user", "id": "l-1"}, "attachments": [{"type": "upload", "name": "card.png"}], "redacted": false}, {"type": "conversation_part", "id": "7288120841", "part_type": "assignment", "body": null, "created_at": 1717156830, "author": {"type": "admin", "id": "a1"}}]}, "conversation_rating": {}, "ai_agent": {"resolution_state": "assumed_resolution", "rating": null}}
#     events:
#       - {"event_id": "intercom:148:source", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "148", "user_id": "l-1", "source": "email", "attributes": {"text": "Card", "message_id": "9"}}
#       - {"event_id": "intercom:part:7288120839", "event_name": "message.sent", "actor": "assistant", "occurred_at": "2024-05-31T12:00:10Z", "sequence": 7288120839, "conversation_id": "148", "user_id": "l-1", "source": "email", "attributes": {"text": "It is blocked", "message_id": "7288120839", "actor": "assistant"}}
#       - {"event_id": "intercom:part:7288120840", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:20Z", "sequence": 7288120840, "conversation_id": "148", "user_id": "l-1", "source": "email", "attributes": {"message_id": "7288120840"}}
#       - {"event_id": "intercom:148:closed:1717157400", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T12:10:00Z", "conversation_id": "148", "user_id": "l-1", "source": "email", "attributes": {"resolved_by": "assistant"}}

def is_customer: text // "" | IN("user", "lead", "contact");
# Who wrote it: bots write as admins too, and say so.
def is_bot: type == "object" and (((.type | text // "") | IN("bot", "fin", "operator", "workflow")) or .from_ai_agent == true or .is_ai_answer == true);
def by_author($author; $words; $id):
    ($author | object) as $who
    | if ($who.type | is_customer) then {event_name: "message.received", attributes: {text: $words, message_id: $id}}
      elif ($who | is_bot) then {event_name: "message.sent", actor: "assistant", attributes: {text: $words, message_id: $id, actor: "assistant"}}
      else {event_name: "message.sent", actor: "agent", attributes: {text: $words, message_id: $id, actor: "human", agent_id: $who.id, agent_name: $who.name}} end
    | .attributes |= present;
def shows: (.attachments | list | length) > 0 or .redacted == true;

def conversation:
    . as $c
    | (.source | object) as $source | ($source.author | object) as $author
    | (.ai_agent | object) as $fin
    | {
        conversation_id: (.id | text),
        user_id: (((.contacts | object | .contacts | list | .[0] | object | present | .external_id // .id)
          // (if ($author.type | is_customer) then $author.id else null end)) | text),
        source: ($source.type | text | if . == null then null else .[:32] end)
      } as $common
    | ((.conversation_parts | if type == "object" then .conversation_parts else . end | list) | map(select(type == "object"))) as $parts
    | (($source.body | plain) // ($source.subject | plain)) as $first
    # what is sent to many is nobody's own
    | (if $source.delivered_as | IN("automated", "campaigns_initiated", "operator_initiated") then $author + {type: "bot"} else $author end) as $opener
    | (if $first != null or ($source | shows) then $common + {event_id: (["intercom", $c.id, "source"] | named), occurred_at: ($c.created_at | time), sequence: 0}
        + by_author($opener; $first; $source.id) | present else empty end),
      ($parts | to_entries[] | .value as $part | (.key + 1) as $at | $part
        | (.body | plain) as $text
        # numbers of parts grow, and a webhook has the last one alone
        | ($common + {occurred_at: (.created_at | time), sequence: (.id | if type == "string" and test("^[0-9]{1,15}$") then tonumber else $at end)}) as $these
        | (if $text == null and ((shows | not) or .part_type != "comment") then empty
           elif .part_type | text // "" | startswith("note") then $these + {event_id: (["intercom:part", $part.id] | named), event_name: "message.noted", attributes: ({text: $text, message_id: .id} | present)} | present
           else $these + {event_id: (["intercom:part", $part.id] | named)} + by_author($part.author; $text; $part.id) | present end),
          (if .part_type == "close" then $these + {event_id: (["intercom:end", $part.id] | named), event_name: "conversation.resolved",
              attributes: {resolved_by: (if (.author | is_bot) or (.author | object | .type | is_customer) then "assistant" else "human" end)}} | present
           else empty end)),
      # a list of conversations comes without their parts
      (if .state == "closed" and all($parts[]; .part_type != "close") then
          (.statistics | object) as $statistics
          | $common + {event_id: (["intercom", $c.id, "closed", $statistics.last_close_at // .updated_at] | named), event_name: "conversation.resolved",
            occurred_at: (($statistics.last_close_at // .updated_at) | time),
            attributes: {resolved_by: (if $fin.resolution_state | IN("assumed_resolution", "confirmed_resolution") then "assistant" else "human" end)}} | present
       else empty end),
      (.conversation_rating | if type == "object" and .rating != null then
          $common + {event_id: (["intercom", $c.id, "rating"] | named), event_name: "conversation.rated", occurred_at: ((.created_at // $c.updated_at) | time),
            attributes: ({rating: (.rating | number), rating_max: 5, comment: .remark} | present)} | present
       elif $fin.rating != null then # of Fin, whom no person followed
          $common + {event_id: (["intercom", $c.id, "rating"] | named), event_name: "conversation.rated", occurred_at: (($fin.created_at // $c.updated_at) | time),
            attributes: ({rating: ($fin.rating | number), rating_max: 5, comment: $fin.rating_remark} | present)} | present
       else empty end),
      (if $fin.resolution_state == "routed_to_team" then
          $common + {event_id: (["intercom", $c.id, "escalated"] | named), event_name: "conversation.escalated",
            occurred_at: (((.statistics | object) | .first_assignment_at // .last_assignment_at) // .updated_at | time), attributes: {}} | present
       else empty end);

if type != "object" then reject("is no conversation of Intercom") else . end
| if .type == "notification_event" then
    (.data | object | .item | if type == "object" and .type == "conversation" then conversation else empty end)
  elif .type == "conversation" or has("conversation_parts") then conversation
  else reject("is no conversation of Intercom: its type must be conversation") end
