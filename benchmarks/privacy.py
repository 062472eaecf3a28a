"""How much of planted personal data survives landing, and how much of harmless data is taken for personal.

`python -m benchmarks.privacy [--each 200] [--seed 7] [--show]` makes events with personal data of known kinds in known
places (under the contract: its keys, its free text; beyond it: names by key, other text, numbers, URLs, ids) and
harmless look-alikes, validates them by the shipped plan, and prints the rates by kind. Numbers are random, but right:
cards and IBANs have their check digits, phone numbers are of the tenant's country.
"""

import argparse
import base64
import binascii
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import phonenumbers

from parley.config import tracking_plan
from parley.config.tenants import Tenant
from parley.landing.results import Accepted
from parley.landing.rules import Rules

FOLDER = Path(__file__).parents[1] / tracking_plan.FOLDER
ZONES = {
    "FR": "Europe/Paris", "SE": "Europe/Stockholm", "GB": "Europe/London", "US": "America/New_York",
    "DE": "Europe/Berlin", "ES": "Europe/Madrid", "JP": "Asia/Tokyo",
}  # fmt: skip
RECEIVED = datetime(2026, 6, 1, tzinfo=UTC)
CALL = {
    "FR": "appelez-moi au {}", "SE": "ring mig på {}", "GB": "call me on {} please", "US": "my number is {}",
    "DE": "meine Nummer ist {}", "ES": "mi teléfono es {}", "JP": "電話は{}です",
}  # fmt: skip
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAMES = ("Jane Doe", "Åsa Lindqvist", "José García", "Chloé Dubois", "田中太郎", "O'Brien, Pat")


@dataclass(frozen=True, slots=True)
class Planted:
    """One value in an event: `parts` are what must not be left of it (or must, where it is harmless)."""

    kind: str
    event: dict[str, Any]
    parts: tuple[str, ...]


class Maker:
    """Makes values and events from one source of chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def digits(self, length: int) -> str:
        return str(self.random.randint(1, 9)) + "".join(str(self.random.randint(0, 9)) for _ in range(length - 1))

    def region(self) -> str:
        return self.random.choice(list(ZONES))

    def phone(self, region: str, form: str) -> str:
        """A number of a country's plan, in one of the forms people write."""
        while True:
            example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
            assert example
            text = str(example.national_number)
            number = phonenumbers.PhoneNumber(
                country_code=example.country_code, national_number=int(text[:-5] + self.digits(5))
            )
            if phonenumbers.is_valid_number(number):
                break
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        match form:
            case "e164":
                return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            case "international":
                return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
            case "underscores":
                return national.replace(" ", "_").replace("-", "_")
            case "plain":
                return "".join(filter(str.isdigit, national))
            case "dots":
                return national.replace(" ", ".").replace("-", ".")
        return national

    def card(self, separator: str = "") -> str:
        prefix, length = self.random.choice(
            [("4", 16), ("5", 16), ("37", 15), ("6011", 16), ("2221", 16), ("3566", 16)]
        )
        prefix = prefix if prefix != "5" else f"5{self.random.randint(1, 5)}"
        body = prefix + "".join(str(self.random.randint(0, 9)) for _ in range(length - len(prefix) - 1))
        total = sum(
            value - 9 * (value > 9) for value in (int(digit) * (2 - n % 2) for n, digit in enumerate(reversed(body)))
        )
        whole = body + str(-total % 10)
        return separator.join(whole[n : n + 4] for n in range(0, length, 4))

    def iban(self, separator: str = "") -> str:
        country, bank, length = self.random.choice(
            [("DE", "", 18), ("SE", "", 20), ("GB", "NWBK", 14), ("FR", "", 23), ("ES", "", 20)]
        )
        body = bank + "".join(str(self.random.randint(0, 9)) for _ in range(length))
        numeric = "".join(str(int(sign, 36)) for sign in f"{body}{country}00")
        whole = f"{country}{98 - int(numeric) % 97:02}{body}"
        return separator.join(whole[n : n + 4] for n in range(0, len(whole), 4)) if separator else whole

    def email(self) -> str:
        return (
            f"{self.random.choice(['jane.doe', 'p+shop', 'åsa', 'x_1'])}{self.random.randint(1, 999)}@mail.example.com"
        )

    def ean(self) -> str:
        body = self.random.choice(["400", "590", "978", "871", "500"]) + "".join(
            str(self.random.randint(0, 9)) for _ in range(9)
        )
        return body + str(-sum(int(d) * (1 + 2 * (n % 2)) for n, d in enumerate(body)) % 10)

    def event(self, name: str, attributes: dict[str, Any], region: str = "US", **fields: Any) -> dict[str, Any]:
        return {
            "event_name": name,
            "occurred_at": "2026-05-31T12:30:00Z",
            "tenant_id": f"in-{region}",
            "conversation_id": "c1",
            "attributes": attributes,
        } | fields


def under_the_contract(make: Maker, each: int) -> list[Planted]:
    """Personal data in the places that the contract names."""
    found: list[Planted] = []

    def in_text(kind: str, value: str, sentence: str = "it is {} thanks", region: str = "US") -> None:
        places = (
            ("message.received", {"text": sentence.format(value)}),
            ("kb.search", {"query": sentence.format(value), "results_count": 0}),
            ("system.error", {"error_message": sentence.format(value)}),
        )
        name, attributes = make.random.choice(places)
        found.append(Planted(kind, make.event(name, attributes, region), (value,)))

    for n in range(each):
        region = make.region()
        for form in ("e164", "international", "national", "underscores", "plain", "dots"):
            in_text(f"phone, {form}, in text", make.phone(region, form), CALL[region], region)
        for form in ("e164", "international", "national", "plain"):
            sentence = make.random.choice(("{}", "Hi! {} thanks, Jane", "Jane Doe, {}", "Jane at {}"))
            in_text(f"phone, {form}, nothing said", make.phone(region, form), sentence, region)
        seven = make.random.choice(["555-{}", "555{}", "555 {}"]).format(make.digits(4))
        in_text("phone, 7 digits, in text", seven, make.random.choice(["call {}", "my number is {}", "phone: {}"]))
        for separator in ("", " ", "-", ",", "|", "\u200b", "\n", ".", "_"):
            in_text(f"card, separator {separator!r}, in text", make.card(separator))
        in_text("iban, plain, in text", make.iban())
        in_text("iban, spaced, in text", make.iban(" "))
        in_text("iban, glued, in text", make.iban(), "iban{}")
        in_text("iban, glued after, in text", make.iban(), "to {}please")
        in_text("email, in text", make.email())
        name = ("phone_number", "email", "address", "fullName", "card_number", "phones", "shipping.address")[n % 7]
        found.append(Planted("by name", make.event("user.registered", {name: "Xyzzy Street 4"}), ("Xyzzy",)))
        name = ("password", "passwordConfirm", "newPassword2", "password_confirmation", "userPasswd", "passwordAgain")[
            n % 6
        ]
        found.append(Planted("password", make.event("user.registered", {"form": {name: "hunter2"}}), ("hunter2",)))
        url = f"https://shop.example/p?email={make.email()}"
        found.append(Planted("url query", make.event("commerce.view", {"url": url}), ("mail.example",)))
    return found


def beyond_the_contract(make: Maker, each: int) -> list[Planted]:
    """Personal data where a user would expect it to be found too."""
    found: list[Planted] = []
    texts = ("note", "body", "transcript", "utterance", "answer", "comment_text", "details")
    for n in range(each):
        region = make.region()

        def add(kind: str, attributes: dict[str, Any], part: str, name: str = "user.registered", **fields: Any) -> None:
            found.append(Planted(kind, make.event(name, attributes, region, **fields), (part,)))  # noqa: B023

        person = NAMES[n % len(NAMES)]
        key = ("name", "customer.name", "cardholder", "displayName", "nickname", "guestName", "holder_name", "vorname")[
            n % 8
        ]
        add("name, by key", {key: person}, person)
        add("name, nested", {"customer": {"name": person}}, person)
        phone = make.phone(region, make.random.choice(["e164", "national", "plain"]))
        key = ("caller", "to", "from", "phone_no", "telefon", "contact_number", "callerNumber", "mobileNo")[n % 8]
        add("phone, by key", {key: phone}, phone)
        key = texts[n % len(texts)]
        add("phone, other text", {key: CALL[region].format(phone)}, phone)
        alone = make.phone(region, "national")
        add("phone alone, other text", {key: alone}, alone)
        card, iban, email = make.card(make.random.choice(["", " ", "-"])), make.iban(), make.email()
        add("card, other text", {key: f"paid with {card}."}, card)
        add("iban, other text", {key: f"send it to {iban}."}, iban)
        add("email, other text", {key: f"it is {email}"}, email)
        add("described attribute", {"service_name": f"for {email}"}, email, "service.added")
        add("described attribute", {"service_name": f"call {phone}"}, phone, "service.added")
        plain = make.card()
        add("card as a number", {"payment": {"value": int(plain)}}, plain)
        add("url path", {"url": f"https://shop.example/u/{email}/x"}, email, "commerce.view")
        e164 = make.phone(region, "e164")
        add("url path", {"url": f"https://shop.example/call/{e164}"}, e164, "commerce.view")
        add("context text", {}, email, "commerce.view", context={"page": {"title": f"Hello {email}"}})
        add("context text", {}, e164, "commerce.view", context={"note": f"call {e164}"})
        field = ("user_id", "conversation_id", "session_id", "source")[n % 4]
        written = make.random.choice((base64.urlsafe_b64encode, binascii.hexlify))
        token = written(make.random.choice([email, f"call {e164}"]).encode()).decode().rstrip("=")
        add("encoded, other text", {"note": f"see {token}"}, token)
        beside = make.random.choice(("{}", "u-{}", "user_{}")).format(token)
        add("encoded, as an id", {}, beside, "commerce.view", session_id=beside)
        spelled = " ".join(DIGITS[int(digit)] for digit in phone if digit.isdecimal())
        add("phone, spelled out", {"note": f"call {spelled}"}, spelled)
        wide = "".join(chr(ord(sign) + 0xFEE0) if sign.isdecimal() else sign for sign in card)
        add("card, full width", {"note": f"paid with {wide}."}, wide)
        value = make.random.choice([email[-30:].lstrip("."), e164])
        add("address or number as an id", {}, value, "commerce.view", **{field: value})
    return found


def harmless(make: Maker, each: int) -> list[Planted]:
    """What must stay as it is."""
    found: list[Planted] = []
    for n in range(each):
        region = make.region()

        def text(kind: str, value: str, *sentences: str) -> None:
            sentence = make.random.choice(sentences)
            attributes = {"text": sentence.format(value)}
            found.append(Planted(kind, make.event("message.received", attributes, region), (value,)))  # noqa: B023

        def value(kind: str, key: str, given: Any) -> None:
            found.append(Planted(kind, make.event("user.registered", {key: given}, region), (str(given),)))  # noqa: B023

        length = make.random.choice([7, 8, 9, 10, 12])
        text("order number", make.digits(length), "where is order {}?", "my order number is {}", "Bestellung {} fehlt",
             "commande n° {} svp", "order #{} is late", "beställning {} kom inte", "Order no. {}", "invoice {} twice",
             "tracking {} does not move", "pedido {}", "ticket {}", "注文番号は{}です")  # fmt: skip
        text("isbn", make.ean(), "ISBN {}", "is ISBN {} in stock?")
        text("isbn", "978-3-16-148410-0", "ISBN {}", "the book {} please")
        text("ean", make.ean(), "EAN {}", "is {} in stock?", "article {} in blue")
        amount = make.random.choice(["1,299,000.50", "1 299 000", "1.299.000,00", "12000000", "1299.95", "10000000"])
        text("price", amount, "it costs {} kr", "the price is ${}", "{} EUR is too much", "total: {}", "I paid {} USD")
        text("version", make.random.choice(["10.0.19045.3570", "120.0.6099.109", "17.4.1.20240115"]),
             "version {}", "since v{}", "Chrome/{} crashes", "I run {}")  # fmt: skip
        package = make.random.choice(["react@18.2.0", "vue@3.4.0-beta.1", "@types/node@20.11.5", "lodash@^4.17.21"])
        text("package", package, "we use {} here", "error in {}")
        text(
            "date", make.random.choice(["2026-05-01", "01.05.2026", "20260501", "2026-05-01T12:30:00.123456Z"]), "on {}"
        )
        text(
            "uuid",
            f"{make.random.getrandbits(32):08x}-1234-4567-89ab-{make.random.getrandbits(48):012x}",
            "id {}",
            "{}",
        )
        key = ("order_id", "productId", "trace.id", "transaction_id", "sku", "tracking_number", "external_ref")[n % 7]
        value("id of 13 digits", key, make.digits(13))
        value("id of 16 digits", key, make.digits(16))
        value("id as a number", key, int(make.digits(16)))
        value("timestamp", "sent_at_ms", 1_717_000_000_000 + n)
        value(
            "uuid as attribute",
            "token_ref",
            f"{make.random.getrandbits(32):08x}-1234-4567-89ab-{make.random.getrandbits(48):012x}",
        )
        value("hash", make.random.choice(("etag", "checksum", "commit")), f"{make.random.getrandbits(160):040x}")
        value("random token", "cursor", base64.urlsafe_b64encode(make.random.randbytes(24)).decode())
        value("text in base64", "state", base64.b64encode(b'{"step": "checkout", "n": 12}').decode())
        session = f"{make.random.choice('csu')}-{make.random.getrandbits(64):016x}"
        found.append(Planted("session id", make.event("commerce.view", {}, region, session_id=session), (session,)))
        value("name of a thing", "product_name", "Cut and colour")
        value("measure", "duration_ms", make.random.randint(1, 10**7))
        path = f"/orders/{make.digits(10)}"
        found.append(Planted("url path", make.event("commerce.view", {"url": f"https://shop.example{path}"}), (path,)))
        user = make.random.choice([make.digits(8), make.digits(10), f"u-{make.random.getrandbits(64):016x}"])
        found.append(Planted("user id", make.event("commerce.view", {}, region, user_id=user), (user,)))
    return found


def survives(rules: Rules, planted: Planted) -> bool:
    result = rules.validate(planted.event, RECEIVED)
    if not isinstance(result, Accepted):
        raise SystemExit(f"{planted.kind}: {result}")
    kept = [result.attributes, result.context or b""]
    kept += [
        (text or "").encode() for text in (result.user_id, result.conversation_id, result.session_id, result.source)
    ]
    whole = b" ".join(kept).decode().replace("\\n", "\n").replace('\\"', '"')
    return any(part in whole for part in planted.parts)


def rules() -> Rules:
    tenants = {f"in-{region}": Tenant(f"in-{region}", region, zone) for region, zone in ZONES.items()}
    return Rules(plan=tracking_plan.load(FOLDER), tenants=tenants, secret=b"benchmark")


def rates(by: Rules, planted: list[Planted], wrong: bool, show: bool) -> tuple[int, int]:
    """Prints and returns how many are wrong: those that survive, or do not."""
    total, bad = Counter[str](), Counter[str]()
    for each in planted:
        total[each.kind] += 1
        if survives(by, each) is wrong:
            bad[each.kind] += 1
            if show and bad[each.kind] <= 3:
                print("     ", each.event["tenant_id"], each.event["attributes"], each.event.get("context", ""))
    for kind, number in total.items():
        print(f"  {kind:36} {bad[kind]:5} of {number:5}  {bad[kind] / number:6.1%}")
    print(f"  {'all':36} {bad.total():5} of {total.total():5}  {bad.total() / total.total():6.1%}")
    return bad.total(), total.total()


PARTS: tuple[tuple[str, Callable[[Maker, int], list[Planted]], bool, float], ...] = (
    ("Leaks under the contract", under_the_contract, True, 0.0),
    ("Leaks beyond it", beyond_the_contract, True, 0.1),
    ("False alarms", harmless, False, 0.02),
)


def main() -> None:
    """Measure and print; status 1 where a rate is above its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=200, help="values of each kind (default: 200)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", action="store_true", help="show the first of each kind that come out wrong")
    options = parser.parse_args()
    by, failed = rules(), False
    for title, plant, wrong, bound in PARTS:
        print(f"{title} (at most {bound:.0%}):")
        bad, total = rates(by, plant(Maker(options.seed), options.each), wrong, options.show)
        failed |= bad > bound * total
    sys.exit(failed)


if __name__ == "__main__":
    main()
