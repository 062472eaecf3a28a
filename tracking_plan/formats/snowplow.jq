# description: Enriched events of Snowplow, as tab-separated lines without a header (131 fields) or as JSON of its analytics SDKs.
# recognise: type == "object" and has("collector_tstamp") and has("event_id") and (has("v_collector") or has("app_id"))
# columns: [app_id, platform, etl_tstamp, collector_tstamp, dvce_created_tstamp, event, event_id, txn_id,
#   name_tracker, v_tracker, v_collector, v_etl, user_id, user_ipaddress, user_fingerprint, domain_userid,
#   domain_sessionidx, network_userid, geo_country, geo_region, geo_city, geo_zipcode, geo_latitude,
#   geo_longitude, geo_region_name, ip_isp, ip_organization, ip_domain, ip_netspeed, page_url, page_title,
#   page_referrer, page_urlscheme, page_urlhost, page_urlport, page_urlpath, page_urlquery, page_urlfragment,
#   refr_urlscheme, refr_urlhost, refr_urlport, refr_urlpath, refr_urlquery, refr_urlfragment, refr_medium,
#   refr_source, refr_term, mkt_medium, mkt_source, mkt_term, mkt_content, mkt_campaign, contexts, se_category,
#   se_action, se_label, se_property, se_value, unstruct_event, tr_orderid, tr_affiliation, tr_total, tr_tax,
#   tr_shipping, tr_city, tr_state, tr_country, ti_orderid, ti_sku, ti_name, ti_category, ti_price, ti_quantity,
#   pp_xoffset_min, pp_xoffset_max, pp_yoffset_min, pp_yoffset_max, useragent, br_name, br_family, br_version,
#   br_type, br_renderengine, br_lang, br_features_pdf, br_features_flash, br_features_java,
#   br_features_director, br_features_quicktime, br_features_realplayer, br_features_windowsmedia,
#   br_features_gears, br_features_silverlight, br_cookies, br_colordepth, br_viewwidth, br_viewheight, os_name,
#   os_family, os_manufacturer, os_timezone, dvce_type, dvce_ismobile, dvce_screenwidth, dvce_screenheight,
#   doc_charset, doc_width, doc_height, tr_currency, tr_total_base, tr_tax_base, tr_shipping_base, ti_currency,
#   ti_price_base, base_currency, geo_timezone, mkt_clickid, mkt_network, etl_tags, dvce_sent_tstamp,
#   refr_domain_userid, refr_dvce_tstamp, derived_contexts, domain_sessionid, derived_tstamp, event_vendor,
#   event_name, event_format, event_version, event_fingerprint, true_tstamp]
# event_names:
#   page_view: page.viewed
#   screen_view: screen.viewed
#   link_click: page.clicked
#   page_ping: page.engaged
#   add_to_cart: commerce.add_to_cart
#   login: user.logged_in
#   sign_up: user.registered
#   application_error: system.error
#   transaction: commerce.order_completed
# samples:
#   - document: {"app_id": "shop", "platform": "web", "collector_tstamp": "2024-05-31 12:00:01.000", "derived_tstamp": "2024-05-31 12:00:00.250", "event": "page_view", "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb", "v_collector": "ssc-2.9", "user_id": "ida", "domain_userid": "d-1", "domain_sessionid": "s-1", "page_url": "https://shop.example/", "page_title": "Home", "event_vendor": "com.snowplowanalytics.snowplow", "event_name": "page_view"}
#     events:
#       - {"event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb", "event_name": "page.viewed", "occurred_at": "2024-05-31 12:00:00.250Z", "user_id": "ida", "anonymous_id": "d-1", "session_id": "s-1", "site_id": "shop", "source": "web", "attributes": {"url": "https://shop.example/", "title": "Home"}}
#   - document: {"app_id": "shop", "platform": "web", "collector_tstamp": "2024-05-31T12:00:02Z", "event": "unstruct", "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcc", "v_collector": "ssc-2.9", "domain_userid": "d-1", "event_name": "message_received", "unstruct_event": {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", "data": {"schema": "iglu:com.example/message_received/jsonschema/1-0-0", "data": {"text": "hi", "conversation_id": "c1"}}}}
#     events:
#       - {"event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcc", "event_name": "message_received", "occurred_at": "2024-05-31T12:00:02Z", "anonymous_id": "d-1", "conversation_id": "c1", "site_id": "shop", "source": "web", "attributes": {"text": "hi", "conversation_id": "c1"}}
#   - document: {"app_id": "shop", "platform": "web", "collector_tstamp": "2024-05-31T12:00:03Z", "event": "struct", "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcd", "v_collector": "ssc-2.9", "domain_userid": "d-1", "se_category": "cart", "se_action": "confirmed", "se_label": "top", "se_value": "3"}
#     events:
#       - {"event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcd", "event_name": "cart.confirmed", "occurred_at": "2024-05-31T12:00:03Z", "anonymous_id": "d-1", "site_id": "shop", "source": "web", "attributes": {"label": "top", "value": 3}}
#   - document: {"app_id": "shop", "platform": "web", "collector_tstamp": "2024-05-31T12:00:04.000Z", "event": "unstruct", "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbce", "v_collector": "ssc-2.9", "domain_userid": "d-1", "event_name": "snowplow_ecommerce_action", "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1": {"type": "transaction"}, "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1": [{"transaction_id": "T-1", "revenue": 30.5, "currency": "EUR"}], "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1": [{"id": "p1", "name": "Mug", "price": 30.5, "currency": "EUR"}]}
#     events:
#       - {"event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbce", "event_name": "commerce.order_completed", "occurred_at": "2024-05-31T12:00:04.000Z", "anonymous_id": "d-1", "site_id": "shop", "source": "web", "attributes": {"order_id": "T-1", "revenue": 30.5, "currency": "EUR", "product_id": "p1", "product_name": "Mug", "price": 30.5, "type": "transaction"}}

def parsed: if type == "string" then (try fromjson catch {}) else . end;
def self_describing: type == "object" and has("schema") and has("data");
# The SDKs put a self-describing event under a key of its own: unstruct_event_VENDOR_NAME_1.
def self_described:
    (.unstruct_event | parsed | if self_describing then .data | if self_describing then .data else null end else null end)
    // (to_entries | map(select((.key | startswith("unstruct_event_")) and (.value | type) == "object") | .value) | first)
    // {};
# The entities of a kind that came with an event: a list of its own in the SDKs' JSON, one of all in a line.
def entities($name):
    [to_entries[] | select((.key | startswith("contexts_")) and (.key | contains($name))) | .value | list | .[] | object]
    + [.contexts | parsed | object | .data | list | .[] | select(self_describing and (.schema | text | contains("/" + $name + "/"))) | .data | object];
# Snowplow's own events of a shop, which are one type with a kind inside.
def of_shop:
    if .type == "product_view" then "commerce.view" elif .type == "add_to_cart" then "commerce.add_to_cart"
    elif .type == "checkout_step" then "commerce.checkout" elif .type == "transaction" then "commerce.order_completed"
    elif .type == "refund" then "commerce.order_refunded" else "snowplow_ecommerce_action" end;
def word: ascii_downcase | gsub("[^a-z0-9]+"; "_");

if type != "object" or (has("collector_tstamp") and has("event_id") | not) then reject("is no enriched event of Snowplow, which has event_id and collector_tstamp") else . end
| (self_described | object) as $data
| (if .event_name == "snowplow_ecommerce_action" then {order: ((entities("transaction") + entities("refund"))[0] // {}), product: (entities("product")[0] // {})}
   else {} end) as $shop
| {
    event_id,
    event_name: (
      if .event == "struct" or .event == "se" then "\(.se_category | text // "" | word).\(.se_action | text // "" | word)"
      elif .event_name == "snowplow_ecommerce_action" then $data | of_shop
      else .event_name // .event end),
    occurred_at: ((.true_tstamp // .derived_tstamp // .dvce_created_tstamp // .collector_tstamp) | time),
    user_id: (.user_id | text),
    anonymous_id: ((.domain_userid // .network_userid) | text),
    session_id: (.domain_sessionid | text),
    conversation_id: ($data | object | .conversation_id | text),
    site_id: (.app_id | text),
    source: .platform,
    attributes: (({
        url: .page_url, title: .page_title, referrer: .page_referrer,
        order_id: (.tr_orderid // $shop.order.transaction_id),
        revenue: ((.tr_total // $shop.order.revenue // $shop.order.refund_amount) | number),
        currency: (.tr_currency // $shop.order.currency // $shop.product.currency),
        product_id: $shop.product.id, product_name: $shop.product.name, price: ($shop.product.price | number),
        label: .se_label, property: .se_property, value: (.se_value | number)
      } | present) + ($data | object)),
    context: ({
        ip: .user_ipaddress, useragent, locale: .br_lang,
        campaign: ({medium: .mkt_medium, source: .mkt_source, term: .mkt_term, content: .mkt_content, name: .mkt_campaign} | present | if . == {} then null else . end)
      } | present | if . == {} then null else . end)
  }
