# description: Calls of the Segment spec (track, page, screen, identify, group, alias) and batches of them, as Segment and RudderStack send and archive them.
# recognise: >
#   def is_call: (.type | IN("track", "page", "screen", "identify", "group", "alias"))
#     and (has("messageId") or has("userId") or has("anonymousId") or has("event"));
#   type == "object" and (is_call or ((.batch | type) == "array" and (.batch | length) > 0 and (.batch | all(type == "object" and is_call))))
# event_names:
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
#   Application Opened: session.started
#   Application Installed: user.first_seen
# samples:
#   - document: {"type": "track", "messageId": "0B6E5A2C-4D1F-4C7E-9A53-8F2D6B1E7C90", "event": "Order Completed", "userId": null, "anonymousId": "anonymous-1", "properties": {"order_id": "1", "total": 30, "conversation_id": "c1"}, "context": {"locale": "sv"}, "timestamp": "2024-05-31T12:00:00Z"}
#     events:
#       - {"event_id": "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90", "event_name": "commerce.order_completed", "anonymous_id": "anonymous-1", "conversation_id": "c1", "attributes": {"order_id": "1", "revenue": 30, "conversation_id": "c1"}, "context": {"locale": "sv"}, "occurred_at": "2024-05-31T12:00:00Z"}
#   - document: {"batch": [{"type": "identify", "messageId": "m-1", "anonymousId": "a", "userId": "ida", "traits": {"plan": "free"}, "timestamp": "2024-05-31T12:00:00Z"}, {"type": "page", "messageId": "m-2", "name": "Home", "properties": {"url": "https://shop.example/"}, "userId": "ida", "timestamp": "2024-05-31T12:00:05Z"}], "sentAt": "2024-05-31T12:00:10Z", "receivedAt": "2024-05-31T12:03:10Z", "context": {"library": {"name": "analytics.js"}}}
#     events:
#       - {"event_id": "m-1", "event_name": "user.identified", "occurred_at": "2024-05-31T12:03:00Z", "user_id": "ida", "anonymous_id": "a", "attributes": {"traits": {"plan": "free"}}, "context": {"library": {"name": "analytics.js"}}, "sequence": 0}
#       - {"event_id": "m-2", "event_name": "page.viewed", "occurred_at": "2024-05-31T12:03:05Z", "user_id": "ida", "attributes": {"name": "Home", "url": "https://shop.example/"}, "context": {"library": {"name": "analytics.js"}}, "sequence": 1}
#   - document: {"type": "alias", "messageId": "m-3", "previousId": "anonymous-1", "userId": "ida", "timestamp": "2024-05-31T12:00:00.000Z"}
#     events:
#       - {"event_id": "m-3", "event_name": "user.aliased", "occurred_at": "2024-05-31T12:00:00.000Z", "user_id": "ida", "anonymous_id": "anonymous-1", "attributes": {}}
#   - document: {"type": "group", "messageId": "m-4", "groupId": "acme", "userId": "ida", "traits": {"employees": 7}, "originalTimestamp": "2024-05-31T12:00:00Z", "sentAt": "2024-05-31T12:00:01Z", "receivedAt": "2024-05-31T11:00:01Z"}
#     events:
#       - {"event_id": "m-4", "event_name": "group.identified", "occurred_at": "2024-05-31T11:00:00Z", "user_id": "ida", "attributes": {"group_id": "acme", "traits": {"employees": 7}}}
#   - document: {"type": "screen", "messageId": "m-5", "name": "Cart", "anonymousId": "a", "properties": {"session_id": 17}, "channel": "mobile", "timestamp": "2024-05-31T12:00:00Z"}
#     events:
#       - {"event_id": "m-5", "event_name": "screen.viewed", "occurred_at": "2024-05-31T12:00:00Z", "anonymous_id": "a", "session_id": "17", "source": "mobile", "attributes": {"name": "Cart", "session_id": 17}}

# The device's clock is wrong by receivedAt - sentAt; `timestamp` beside `originalTimestamp` is corrected already.
def moved:
    ((.timestamp // .originalTimestamp) | seconds) as $at
    | ((.receivedAt | seconds) - (.sentAt | seconds)) as $skew
    | (($at + $skew) * 1000 | round) as $ms
    | if $ms % 1000 == 0 then $ms / 1000 | from_seconds else $ms | from_milliseconds end;
def corrected:
    .timestamp as $at
    | if .sentAt != null and .receivedAt != null and ($at == null or .originalTimestamp == null) then
        if $at == null and .originalTimestamp == null then .receivedAt | time else moved end
    elif ($at | type) == "string" and $at[-1:] == "Z" then $at # as most are
    else ($at // .originalTimestamp // .receivedAt // .sentAt) | time end;
def id: if type == "number" then text else . end;

def call:
    .type as $type
    | (if (.properties | type) == "object" then .properties else {} end) as $properties
    | {
        event_id: (.messageId | id),
        occurred_at: corrected,
        tenant_id,
        user_id: (.userId | id),
        anonymous_id: ((if $type == "alias" then .previousId else .anonymousId end) | id),
        conversation_id: ($properties.conversation_id | id),
        session_id: ($properties.session_id // (if (.context | type) == "object" then .context.sessionId else null end) | id),
        source: .channel,
        context
      }
      + if $type == "track" then
          {event_name: .event, attributes: (
            if (.properties | type) != "object" then .properties // {}
            elif $properties.revenue == null and $properties.total != null and (.event == "Order Completed" or .event == "Order Refunded") then
              $properties | .revenue = (.total | number // .total) | del(.total)
            elif ($properties.revenue | type) == "string" then $properties | .revenue = (.revenue | number // .revenue)
            else $properties end)}
        elif $type == "page" or $type == "screen" then {event_name: "\($type).viewed", attributes: ({name, category} + $properties)}
        elif $type == "identify" then {event_name: "user.identified", attributes: {traits}}
        elif $type == "group" then {event_name: "group.identified", attributes: {group_id: .groupId, traits}}
        elif $type == "alias" then {event_name: "user.aliased", attributes: {}}
        else reject("is no call of the Segment spec: its type must be track, page, screen, identify, group or alias") end;

if type != "object" then reject("is no call of the Segment spec")
elif (.batch | type) == "array" then
    {sentAt, receivedAt, context, tenant_id} as $around
    | .batch | to_entries[] | .key as $index | .value
    | if type == "object" then ($around | present) + . else reject("holds a call that is no object") end | call | .sequence = $index
else call end
