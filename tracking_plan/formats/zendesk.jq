# description: Tickets, comments and chats of Zendesk, as its APIs and exports give them. Comments are in their ticket, or name it as ticket_id.
# recognise: >
#   type == "object" and (((has("requester_id") or has("requester")) and has("status") and has("created_at"))
#     or (.type == "chat" or .type == "offline_msg") and has("visitor") or has("ticket_id") and (has("author_id") and (has("body") or has("plain_body") or has("html_body")) or has("score") and has("requester_id")))
# documents: [tickets, chats, comments, results, satisfaction_ratings]
# samples:
#   - document: {"id": 35, "subject": "Lost card", "description": "I lost my card", "status": "solved", "requester_id": 7, "assignee_id": 5, "created_at": "2024-05-31T12:00:00Z", "updated_at": "2024-05-31T13:00:00Z", "via": {"channel": "email"}, "satisfaction_rating": {"score": "good", "comment": "Thanks"}, "comments": [{"id": 1, "author_id": 7, "plain_body": "I lost my card", "public": true, "created_at": "2024-05-31T12:00:00Z"}, {"id": 2, "author_id": 5, "plain_body": "It is blocked", "public": true, "created_at": "2024-05-31T12:30:00Z"}, {"id": 3, "author_id": 5, "plain_body": "Called the bank", "public": false, "created_at": "2024-05-31T12:30:00Z"}]}
#     events:
#       - {"event_id": "zendesk:comment:1", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "35", "user_id": "7", "source": "email", "attributes": {"text": "I lost my card", "message_id": 1}}
#       - {"event_id": "zendesk:comment:2", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:30:00Z", "sequence": 1, "conversation_id": "35", "user_id": "7", "source": "email", "attributes": {"text": "It is blocked", "message_id": 2, "actor": "human", "agent_id": 5}}
#       - {"event_id": "zendesk:comment:3", "event_name": "message.noted", "occurred_at": "2024-05-31T12:30:00Z", "sequence": 2, "conversation_id": "35", "user_id": "7", "source": "email", "attributes": {"text": "Called the bank", "message_id": 3}}
#       - {"event_id": "zendesk:solved:35", "event_name": "conversation.resolved", "occurred_at": "2024-05-31T13:00:00Z", "conversation_id": "35", "user_id": "7", "source": "email", "attributes": {"resolved_by": "human", "agent_id": 5}}
#       - {"event_id": "zendesk:rating:35", "event_name": "conversation.rated", "occurred_at": "2024-05-31T13:00:00Z", "conversation_id": "35", "user_id": "7", "source": "email", "attributes": {"rating": 1, "comment": "Thanks"}}
#   - document: {"id": "1705.ab", "type": "chat", "timestamp": "2024-05-31T12:00:00Z", "visitor": {"id": "v-1", "name": "Visitor 1"}, "history": [{"type": "chat.msg", "name": "Visitor 1", "msg": "Hi", "timestamp": "2024-05-31T12:00:00Z", "sender_type": "Visitor"}, {"type": "chat.msg", "name": "Ann", "msg": "Hello", "timestamp": "2024-05-31T12:00:04Z", "sender_type": "Agent"}], "rating": "good"}
#     events:
#       - {"event_id": "zendesk:chat:1705.ab:0", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "1705.ab", "user_id": "v-1", "source": "chat", "attributes": {"text": "Hi"}}
#       - {"event_id": "zendesk:chat:1705.ab:1", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:04Z", "sequence": 1, "conversation_id": "1705.ab", "user_id": "v-1", "source": "chat", "attributes": {"text": "Hello", "actor": "human"}}
#       - {"event_id": "zendesk:chat:1705.ab:rating", "event_name": "conversation.rated", "occurred_at": "2024-05-31T12:00:04Z", "conversation_id": "1705.ab", "user_id": "v-1", "source": "chat", "attributes": {"rating": 1}}
#   - document: {"id": 36, "subject": "Lost card", "description": "I lost my card", "status": "open", "requester": {"id": 7, "name": "Ida"}, "created_at": "2024-05-31T12:00:00Z", "updated_at": "2024-05-31T12:00:00Z", "via": {"channel": "web"}, "satisfaction_rating": {"score": "offered"}}
#     events:
#       - {"event_id": "zendesk:ticket:36", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "36", "user_id": "7", "source": "web", "attributes": {"text": "I lost my card"}}
#   - parent: {"users": [{"id": 8, "role": "end-user"}, {"id": 5, "role": "agent"}]}
#     document: {"id": 37, "status": "pending", "requester_id": 7, "created_at": "2024-05-31T12:00:00Z", "updated_at": "2024-05-31T12:00:00Z", "via": {"channel": "email"}, "comments": [{"id": 4, "author_id": -1, "body": "We got your mail", "html_body": "<p>We got your mail</p>", "public": true, "created_at": "2024-05-31T12:00:01Z", "via": {"channel": "rule"}}, {"id": 5, "author_id": 8, "plain_body": "Me too", "public": true, "created_at": "2024-05-31T12:00:02Z", "via": {"channel": "email"}}]}
#     events:
#       - {"event_id": "zendesk:comment:4", "event_name": "message.sent", "actor": "assistant", "occurred_at": "2024-05-31T12:00:01Z", "sequence": 0, "conversation_id": "37", "user_id": "7", "source": "email", "attributes": {"text": "We got your mail", "message_id": 4, "actor": "assistant"}}
#       - {"event_id": "zendesk:comment:5", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:02Z", "sequence": 1, "conversation_id": "37", "user_id": "7", "source": "email", "attributes": {"text": "Me too", "message_id": 5}}
#   - document: {"id": 62, "assignee_id": 5, "group_id": 1, "requester_id": 7, "ticket_id": 38, "score": "bad_with_comment", "comment": "Slow", "created_at": "2024-05-31T12:00:00Z", "updated_at": "2024-05-31T12:05:00Z"}
#     events:
#       - {"event_id": "zendesk:rating:38", "event_name": "conversation.rated", "occurred_at": "2024-05-31T12:05:00Z", "conversation_id": "38", "user_id": "7", "attributes": {"rating": 0, "comment": "Slow"}}

def mark: text // "" | if startswith("good") then 1 elif startswith("bad") then 0 else null end;
# Roles of people, where the export brings them along.
def role_of($id): [(($parent | object | .users), .users) | list | .[] | select(type == "object" and (.id | text) == ($id | text)) | .role][0];

def of_comment($common; $requester; $at; $role):
    ((.plain_body // (.html_body | plain) // .body) | if . == "" then null else . end) as $text
    | ((.via | object | .channel) | text) as $channel
    | (.author_id // (.author | object | .id) | text) as $author
    | $common + {event_id: (["zendesk:comment", .id] | named), occurred_at: (.created_at | time), sequence: $at}
      + (if .public == false then {event_name: "message.noted", attributes: {text: $text, message_id: .id}}
         elif $author != null and $author == ($requester | text) or ($role // (.author | object | .role)) == "end-user" then
           {event_name: "message.received", attributes: {text: $text, message_id: .id}}
         # Zendesk itself, by a trigger or an automation
         elif $channel == "rule" or $author == "-1" then {event_name: "message.sent", actor: "assistant", attributes: {text: $text, message_id: .id, actor: "assistant"}}
         else {event_name: "message.sent", actor: "agent", attributes: {text: $text, message_id: .id, actor: "human", agent_id: (.author_id // (.author | object | .id))}} end)
    | .attributes |= present | present;

def ticket:
    .requester_id = (.requester_id // (.requester | if type == "object" then .id else . end)) | . as $t
    | (.assignee_id // (.assignee | object | .id)) as $assignee
    | ({conversation_id: (.id | text), user_id: (.requester_id | text), source: (.via | object | .channel | text | if . == null then null else .[:32] end)} | present) as $common
    | (.comments | if type == "object" then .comments else . end) as $comments
    | (if ($comments | type) == "array" then
        $comments | to_entries[] | select(.value | type == "object") | .key as $at | .value | of_comment($common; $t.requester_id; $at; role_of(.author_id))
       elif .description != null then
        $common + {event_id: (["zendesk:ticket", .id] | named), event_name: "message.received", occurred_at: (.created_at | time), sequence: 0, attributes: {text: .description}}
       else empty end),
      (if .status == "solved" or .status == "closed" then
        ((.metric_set | object | .solved_at) // .solved_at) as $solved # it may be solved again
        | $common + {event_id: ((["zendesk:solved", .id] + [$solved | select(. != null)]) | named), event_name: "conversation.resolved",
          occurred_at: (($solved // .updated_at) | time), attributes: ({resolved_by: "human", agent_id: $assignee} | present)}
       else empty end),
      ((.satisfaction_rating | object) as $r | ($r.score | mark) as $score | if $score != null then
        $common + {event_id: (["zendesk:rating", .id] | named), event_name: "conversation.rated", occurred_at: (($r.updated_at // $r.created_at // .updated_at) | time), attributes: ({rating: $score, comment: $r.comment} | present)}
       else empty end);

# A rating by itself, as the list of ratings has it: of one that was only offered there is nothing to say.
def rated: (.score | mark) as $score | if $score == null then empty else
    {event_id: (["zendesk:rating", .ticket_id] | named), event_name: "conversation.rated", occurred_at: ((.updated_at // .created_at) | time),
      conversation_id: (.ticket_id | text), user_id: (.requester_id | text), attributes: ({rating: $score, comment} | present)} | present end;

def chat:
    . as $c
    | ({conversation_id: (.id | text), user_id: (.visitor | object | .id | text), source: "chat"} | present) as $common
    | ([(.history | list)[] | object | .timestamp | select(. != null)] | last) as $last
    | (if .type == "offline_msg" then $common + {event_id: (["zendesk:chat", .id, 0] | named), event_name: "message.received", occurred_at: (.timestamp | time), attributes: ({text: .message} | present)} else empty end),
      ((.history | list) | to_entries[] | select((.value | type) == "object" and (.value.type | IN("chat.msg", "chat.file"))) | .key as $at | .value
        | ((.sender_type // (.nick | text // "" | split(":")[0])) | text | ascii_downcase) as $sender
        | $common + {event_id: (["zendesk:chat", $c.id, $at] | named), occurred_at: (.timestamp | time), sequence: $at}
          + (if $sender == "visitor" then {event_name: "message.received", attributes: {text: .msg}}
             elif $sender | IN("trigger", "bot", "system") then {event_name: "message.sent", actor: "assistant", attributes: {text: .msg, actor: "assistant"}}
             else {event_name: "message.sent", actor: "agent", attributes: {text: .msg, actor: "human", agent_id: .agent_id}} end)
        | .attributes |= present | present),
      ((.rating | mark) as $score | if $score != null then
        $common + {event_id: (["zendesk:chat", .id, "rating"] | named), event_name: "conversation.rated", occurred_at: (($last // .end_timestamp // .timestamp) | time), attributes: ({rating: $score, comment} | present)}
       else empty end);

if type != "object" then reject("is no ticket, comment or chat of Zendesk") else . end
| if has("score") and has("ticket_id") then rated
  elif (has("requester_id") or has("requester")) and has("status") then ticket
  elif has("visitor") then chat
  elif has("author_id") then
    if .ticket_id == null then reject("is a comment of Zendesk without ticket_id: export tickets with their comments") else
      of_comment({conversation_id: (.ticket_id | text), user_id: (.requester_id | text), source: (.via | object | .channel | text)} | present; .requester_id; null; role_of(.author_id)) end
  else reject("is no ticket, comment or chat of Zendesk") end
