# Functions that every source format may use. A filter gets one document as `.`, the number of its line as $line, and
# in a format with `documents` the members of the object around it as $parent.

# A filter sees its document and nothing else: no environment, no clock, no other document.
def env: {};
def input: error({rejected: "cannot be read: a filter sees one document only"});
def inputs: input;
def now: error({rejected: "cannot be read: a filter knows no clock"});
def halt: error({rejected: "cannot be read: a filter cannot stop a load"});
def halt_error: halt;
def halt_error($status): halt;
def debug: .;
def debug($message): .;
def stderr: .;

# Reject the document with a sentence that follows "the document": it must quote nothing of it.
def reject($why): error({rejected: $why});

# A value as text: ids come as numbers or texts.
def text: if . == null then null elif type == "string" then . elif type == "number" then tostring else tojson end;

# A number that may be written as text; null where it is none.
def number: if type == "number" then . elif type == "string" then (try tonumber catch null) else null end;

# The id of an event, from all that names it, such as ["rasa", .sender_id, .timestamp]; null where a part is missing, and
# then the id is made of the whole document: an id of nothing would be that of many.
def named: if any(.[]; . == null or . == "") then null else map(text) | join(":") end;

# An object without the members that are null or an empty text.
def present: delpaths([path(.[] | select(. == null or . == ""))]); # a third of the time of with_entries
def given: delpaths([path(.[] | select(. == null))]);

# The object that a value is, else an empty one.
def object: if type == "object" then . else {} end;
def list: if type == "array" then . elif . == null then [] else [.] end;

# {key, value} or {name, value} pairs as an object.
def pairs: if type == "array" then map(select(type == "object") | {key: ((.key // .name) | text), value}) | from_entries
    else object end;

# RFC 3339 from a number of units since 1970, of which a second has 10 to the power of $digits. Where it is a text, or has a
# fraction, the digits count: nanoseconds have more of them than a number keeps.
def since_1970_in_text($digits):
    text as $all
    | ($all | if test("^-?[0-9]+([.][0-9]+)?$") then split(".") else reject("has a time that is no number of seconds since 1970") end)
        as [$whole, $part]
    | (if ($whole | length) <= $digits then ("0" * ($digits + 1 - ($whole | length))) + $whole else $whole end) as $padded
    | ($padded[:($padded | length) - $digits] | tonumber | if . < 253402300800 then todate
        else reject("has a time beyond the year 9999") end) as $second
    | ($padded[($padded | length) - $digits:] + ($part // ""))[:6] as $fraction
    | $second[:19] + (if $fraction == "" then "" else "." + $fraction end) + "Z";
def since_1970($digits; $unit):
    if type == "number" and . >= 0 and . < 9007199254740992 and . == floor then # most are, and this is quick
        (. / $unit | floor) as $second | . - $second * $unit + $unit
        | ($second | if . < 253402300800 then todate else reject("has a time beyond the year 9999") end | .[:19])
            + (if $digits == 0 then "" else "." + (tostring | .[1:7]) end) + "Z"
    else since_1970_in_text($digits) end;
def from_seconds: since_1970(0; 1);
def from_milliseconds: since_1970(3; 1000);
def from_microseconds: since_1970(6; 1000000);
def from_nanoseconds: since_1970(9; 1000000000);

# RFC 3339 from whatever a source calls a time: texts with or without a zone (which is UTC then), and numbers since 1970
# whose unit is known by their size.
def time:
    if . == null or . == "" then null
    elif type == "string" and (endswith("Z") or .[-3:-2] == ":" and (.[-6:-5] == "+" or .[-6:-5] == "-") and .[-7:-6] != " ") then .
    elif type == "number" or (type == "string" and test("^[0-9]{9,19}([.][0-9]+)?$")) then
        (text | split(".")[0] | length) as $length
        | if $length <= 11 then from_seconds elif $length <= 14 then from_milliseconds
          elif $length <= 17 then from_microseconds else from_nanoseconds end
    elif type != "string" then .
    elif test(":[0-9]{2}([.][0-9]+)? ?[+-][0-9]{2}(:?[0-9]{2})?$") then
        sub(" (?=[+-])"; "") | sub("(?<hour>[+-][0-9]{2})$"; "\(.hour):00") | if .[-3:-2] == ":" then . else .[:-2] + ":" + .[-2:] end
    else sub(" ?(UTC|GMT)$"; "") | (if test("^[0-9-]{10}[T ][0-9]{2}:[0-9]{2}$") then . + ":00" else . end) + "Z" end;

# Seconds since 1970 of a time, with their fraction.
def seconds:
    time | if . == null then null
    elif type == "string" and endswith("Z") and (.[19:20] == "." or .[19:20] == "Z") then
        (.[:10] + "T" + .[11:19] + "Z" | fromdate) + ("0" + .[19:-1] | tonumber)
    else
        [capture("^(?<second>[0-9-]{10}[Tt ][0-9:]{8})(?<fraction>[.][0-9]+)?(?<zone>[Zz]|[+-][0-9:]{5})$")]
        | if . == [] then reject("has a time that cannot be read: write it as 2024-05-31T12:00:00Z") else .[0] end
        | (.second | .[:10] + "T" + .[11:] + "Z" | fromdate) + ((.fraction // "0") | if startswith(".") then "0" + . else . end | tonumber)
            - (.zone | if length == 1 then 0 else
                (.[1:3] | tonumber) * 3600 + (.[4:6] | tonumber) * 60 | if . == 0 then 0 else . end end)
              * (.zone | if startswith("-") then -1 else 1 end)
    end;

# Milliseconds from one time to another; null where one is missing or they are the wrong way round.
def milliseconds_to($end):
    (try seconds catch null) as $from | ($end | try seconds catch null) as $to
    | if $from == null or $to == null or $to < $from then null else ($to - $from) * 1000000 | round / 1000 end;

# A rating from $worst to $best as 0 to 1; null where it is none.
def rating($worst; $best):
    number | if . == null or . < ([$worst, $best] | min) or . > ([$worst, $best] | max) then null
    else (. - $worst) / ($best - $worst) end;

# The value of an OTLP attribute, and a list of attributes as an object.
def otlp_value:
    if type != "object" then . elif has("stringValue") then .stringValue elif has("boolValue") then .boolValue
    elif has("intValue") then (.intValue | if type == "string" then (try tonumber catch .) else . end)
    elif has("doubleValue") then .doubleValue
    elif has("arrayValue") then [.arrayValue.values | list | .[] | otlp_value]
    elif has("kvlistValue") then [.kvlistValue.values | list | .[] | {key: .key, value: (.value | otlp_value)}] | from_entries
    else null end;
def otlp_attributes: list | map(select(type == "object" and (.key | type) == "string") | {key, value: (.value | otlp_value)}) | from_entries;

# What the customer wrote or what was written to the customer: the event name, and who wrote it.
def message_of($who):
    if $who == "customer" then {event_name: "message.received"}
    elif $who == "agent" then {event_name: "message.sent", actor: "agent"}
    else {event_name: "message.sent", actor: "assistant"} end;

# HTML as plain text.
def plain: if type != "string" then . else
    if contains("<") then gsub("<br[^>]*>|</p>|</div>|</li>"; "\n") | gsub("<[^>]*>"; "") else . end
    | if contains("&") | not then . else gsub("&nbsp;"; " ") | gsub("&lt;"; "<") | gsub("&gt;"; ">") | gsub("&quot;"; "\"") | gsub("&#39;"; "'") | gsub("&amp;"; "&") end
    | trim | if . == "" then null else . end end;

# The text in whatever an assistant's input or output is: a text, parts, messages (the last one's) or an object around it.
def said:
    if . == null then null
    elif type == "string" then (if . == "" then null else . end)
    elif type == "array" then
        if length == 0 then null
        elif all(type == "object" and (has("role") or has("message"))) then last | said
        else [.[] | if type == "object" and has("type") and (.type | IN("text", "input_text", "output_text", "refusal") | not) then empty else said end
            | select(. != null)] | join("\n") | if . == "" then null else . end end
    elif type == "object" then
        (.content // .text // .refusal // .parts // .message // .messages // .input // .query // .question // .output // .answer // .response // .choices) | said
    else null end;
