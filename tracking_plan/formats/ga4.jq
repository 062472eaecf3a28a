# description: Events of Google Analytics 4, as its BigQuery export gives them (JSON lines, Parquet or CSV of an events_ table).
# recognise: type == "object" and has("event_timestamp") and has("event_name") and (has("user_pseudo_id") or has("event_params"))
# event_names:
#   page_view: page.viewed
#   screen_view: screen.viewed
#   session_start: session.started
#   first_visit: user.first_seen
#   first_open: user.first_seen
#   user_engagement: page.engaged
#   scroll: page.scrolled
#   click: page.clicked
#   file_download: page.clicked
#   app_exception: system.error
#   sign_up: user.registered
#   login: user.logged_in
#   view_item: commerce.view
#   add_to_cart: commerce.add_to_cart
#   begin_checkout: commerce.checkout
#   purchase: commerce.order_completed
#   refund: commerce.order_refunded
# samples:
#   - document: {"event_date": "20240531", "event_timestamp": "1717156800250000", "event_name": "page_view", "event_params": [{"key": "page_location", "value": {"string_value": "https://shop.example/"}}, {"key": "page_title", "value": {"string_value": "Home"}}, {"key": "ga_session_id", "value": {"int_value": "1717156700"}}], "user_pseudo_id": "1234.5678", "platform": "WEB", "stream_id": "99", "device": {"category": "mobile"}, "items": []}
#     events:
#       - {"event_name": "page.viewed", "occurred_at": "2024-05-31T12:00:00.250000Z", "anonymous_id": "1234.5678", "session_id": "1234.5678.1717156700", "source": "WEB", "site_id": "99", "attributes": {"title": "Home", "url": "https://shop.example/"}, "context": {"device": {"category": "mobile"}}}
#   - document: {"event_timestamp": 1717156801000000, "event_name": "purchase", "event_params": [{"key": "transaction_id", "value": {"string_value": "T-1"}}, {"key": "value", "value": {"double_value": 30.5}}, {"key": "currency", "value": {"string_value": "EUR"}}], "ecommerce": {"transaction_id": "T-1", "purchase_revenue": 30.5}, "user_id": "ida", "user_pseudo_id": "1234.5678", "items": [{"item_id": "p1", "item_name": "Mug", "price": 30.5, "quantity": 1}]}
#     events:
#       - {"event_name": "commerce.order_completed", "occurred_at": "2024-05-31T12:00:01.000000Z", "user_id": "ida", "anonymous_id": "1234.5678", "attributes": {"product_id": "p1", "product_name": "Mug", "price": 30.5, "quantity": 1, "items_count": 1, "order_id": "T-1", "revenue": 30.5, "currency": "EUR"}}
#   - document: {"event_timestamp": "1717156802000000", "event_name": "refund", "batch_ordering_id": "2", "batch_event_index": "3", "event_params": [{"key": "currency", "value": {"string_value": "EUR", "int_value": null, "float_value": null, "double_value": null}}, {"key": "ga_session_id", "value": {"string_value": null, "int_value": "0"}}], "ecommerce": {"transaction_id": "T-1", "purchase_revenue": null, "refund_value": "30.5"}, "user_id": null, "user_pseudo_id": "1234.5678", "user_properties": [], "privacy_info": {"analytics_storage": "Yes"}}
#     events:
#       - {"event_name": "commerce.order_refunded", "occurred_at": "2024-05-31T12:00:02.000000Z", "sequence": 2003, "anonymous_id": "1234.5678", "session_id": "1234.5678.0", "attributes": {"order_id": "T-1", "revenue": 30.5, "currency": "EUR"}, "context": {"privacy_info": {"analytics_storage": "Yes"}}}

# A parameter has its value in the member of its type.
def parameter: if type == "object" then
    (.string_value // (.int_value | if type == "string" then number else . end) // (.double_value | number) // (.float_value | number))
  else . end;
def parameters:
    if type == "array" then reduce (.[] | select(type == "object")) as $pair ({}; .[($pair.key // $pair.name) | text] = ($pair.value | parameter))
    else object | map_values(parameter) end;

if type != "object" or (has("event_timestamp") and has("event_name") | not) then reject("is no event of a GA4 export, which has event_name and event_timestamp") else . end
| (.event_params | parameters) as $p
| (.items | list | map(select(type == "object"))) as $items
| (.user_pseudo_id | text) as $visitor
| {
    event_name,
    occurred_at: (.event_timestamp | from_microseconds),
    tenant_id,
    user_id: (.user_id | text),
    anonymous_id: $visitor,
    session_id: ($p.ga_session_id | if . == null then null else "\($visitor).\(text)" end),
    site_id: (.stream_id | text),
    source: .platform,
    # events of one request have one time
    sequence: (if .batch_event_index == null and .batch_ordering_id == null then null
      else (.batch_ordering_id | number // 0) * 1000 + (.batch_event_index | number // 0) end),
    attributes: (({
        title: $p.page_title, url: $p.page_location, referrer: $p.page_referrer, name: $p.firebase_screen,
        product_id: $items[0].item_id, product_name: $items[0].item_name, price: ($items[0].price | number), quantity: ($items[0].quantity | number),
        items_count: ($items | length | if . == 0 then null else . end),
        order_id: ((.ecommerce | object | .transaction_id) // $p.transaction_id),
        revenue: ((.ecommerce | object) as $e | (if .event_name == "refund" then $e.refund_value else $e.purchase_revenue end) // $p.value | number)
      } | present) + ($p | del(.page_title, .page_location, .page_referrer, .firebase_screen, .ga_session_id, .transaction_id, .value))),
    # who denies that analytics is stored is still told of, without a cookie
    context: ({consent: (if (.privacy_info | object | .analytics_storage) == "No" then {analytics: false} else null end), device, geo, traffic_source, app_info, privacy_info, user_properties: (.user_properties | parameters | if . == {} then null else . end)} | present | if . == {} then null else . end)
  }
