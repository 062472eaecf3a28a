# description: Messages with a role, a text and a time, one a line or in a list inside their conversation. The least that anybody has; also as CSV.
# recognise: >
#   def has_any($names): . as $it | any($names[]; . as $name | $it | has($name));
#   def is_message: type == "object" and has_any(["role", "sender", "author", "speaker", "from"]) and has_any(["content", "text", "message", "body", "utterance"]);
#   def is_timed: has_any(["timestamp", "time", "created_at", "createdAt", "date", "ts", "sent_at"]);
#   type == "object" and (has_any(["event_name", "event_type", "event", "message_type", "object", "request", "mapping", "from_id", "uuid", "inbox_id", "ticket_id"]) | not)
#   and (is_message and is_timed or ((.messages // .turns // .transcript // .conversation) | type == "array" and length > 0 and all(is_message)))
# samples:
#   - document: {"conversation_id": "c1", "role": "user", "content": "I lost my card", "timestamp": "2024-05-31T12:00:00Z", "user_id": "ida"}
#     events:
#       - {"event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 1, "conversation_id": "c1", "user_id": "ida", "attributes": {"text": "I lost my card"}}
#   - document: {"id": "c2", "user": "ida", "channel": "web", "messages": [{"role": "user", "content": "Hi", "timestamp": 1717156800}, {"role": "agent", "content": "Hello", "timestamp": 1717156800}, {"role": "tool", "content": "{}", "timestamp": 1717156800}]}
#     events:
#       - {"event_id": "transcript:c2:[null,\"2024-05-31T12:00:00Z\",\"user\",\"\\\"Hi\\\"\"]", "event_name": "message.received", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 0, "conversation_id": "c2", "user_id": "ida", "source": "web", "attributes": {"text": "Hi"}}
#       - {"event_id": "transcript:c2:[null,\"2024-05-31T12:00:00Z\",\"agent\",\"\\\"Hello\\\"\"]", "event_name": "message.sent", "actor": "agent", "occurred_at": "2024-05-31T12:00:00Z", "sequence": 1, "conversation_id": "c2", "user_id": "ida", "source": "web", "attributes": {"text": "Hello", "actor": "human"}}
#   - document: {"conversation_id": 7, "author": {"role": "assistant"}, "content": null, "created_at": "2024-05-31 14:30", "tool_calls": [{"id": "call-1", "type": "function", "function": {"name": "block_card", "arguments": "{}"}}, {"id": "call-2", "function": {"name": "send_mail", "arguments": {}}}]}
#     events:
#       - {"event_name": "ai.tool_call_started", "occurred_at": "2024-05-31 14:30:00Z", "sequence": 1, "conversation_id": "7", "attributes": {"tool_name": "block_card", "tool_call_id": "call-1"}}
#       - {"event_name": "ai.tool_call_started", "occurred_at": "2024-05-31 14:30:00Z", "sequence": 1, "conversation_id": "7", "attributes": {"tool_name": "send_mail", "tool_call_id": "call-2"}}

# Where there are speakers and no roles, as in corpora of dialogues, the system is who answers.
def who: (.role // .sender // .author // (.speaker | if (text // "" | ascii_downcase) == "system" then "assistant" else . end) // .from) | if type == "object" then .role // .type // .name else . end | text // "" | ascii_downcase;
def at: (.timestamp // .time // .created_at // .createdAt // .date // .ts // .sent_at) | time;
def thread: (.conversation_id // .conversationId // .thread_id // .chat_id // .session_id // .dialogue_id) | text;
def person: (.user_id // .userId // .customer_id // .user // .customer) | if type == "object" then .id else . end | text;
def place: (.channel // .source // .platform) | text | if . == null then null else .[:32] end;
# $id: what names the message within its conversation.
def message($around; $sequence; $id):
    who as $who
    | ((.content // .text // .message // .body // .utterance) | said) as $text
    | [(.tool_calls // []) | if type == "array" then .[] else empty end | select(type == "object")] as $calls
    | (if $who | IN("user", "customer", "human", "client", "visitor", "contact", "end_user", "end-user", "guest", "caller", "enduser", "usr") then {event_name: "message.received"}
       elif $who | IN("assistant", "bot", "ai", "system_bot", "chatbot", "model", "sys", "virtual_agent") then {event_name: "message.sent", actor: "assistant"}
       elif $who | IN("agent", "human_agent", "operator", "support", "staff", "employee", "admin", "representative", "advisor") then {event_name: "message.sent", actor: "agent"}
       elif $who | IN("system", "tool", "function", "developer", "note", "event") then null
       else reject("has a role that is neither the customer's nor the assistant's: write user, assistant or agent") end) as $kind
    | if $kind == null then empty else
        ($around + ({conversation_id: thread, user_id: person, source: place, tenant_id} | present)
          + {occurred_at: (at // $around.occurred_at), sequence: $sequence}) as $common
        | ((.message_id // .messageId) | if . == null then $id else ["transcript", .] | named end) as $event_id
        | ($calls | to_entries[] | $common + {event_id: (if $event_id == null then null else "\($event_id):\(.key)" end), event_name: "ai.tool_call_started",
            attributes: ({tool_name: (.value.function.name? // .value.name // "unknown"), tool_call_id: .value.id} | present)} | present),
          # a model that only calls its tools says nothing
          (if $text == null and $calls != [] then empty else
            $common + {event_id: $event_id, attributes: ({text: $text, actor: (if $kind.actor == "agent" then "human" else null end), intent} | present)}
            + $kind | present end)
      end;

if type != "object" then reject("is no message and no conversation") else . end
| (.messages // .turns // .transcript // .conversation) as $messages
| if ($messages | type) == "array" then
    ({conversation_id: (thread // (.id | text)), user_id: person, source: place, tenant_id, occurred_at: at} | present) as $around
    # a conversation that is exported again has grown: a message is known by its id, or by all that it says
    | foreach ($messages | to_entries[]) as {key: $at, value: $message} ({seen: {}};
        if $around.conversation_id == null or ($message | type) != "object" then .id = null
        else
          ($message | [(.id | text), (at | text), who, ((.content // .text // .message // .body // .utterance) | tojson)] | tojson) as $all
          | .nth = (.seen[$all] // 0) | .seen[$all] = .nth + 1
          | .id = "transcript:\($around.conversation_id):\($all)\(if .nth == 0 then "" else ":\(.nth)" end)"
        end;
        .id as $id | $message
        | if type == "object" then message($around; $at; $id) else reject("holds a message that is no object") end)
  else message({}; $line; null) end
