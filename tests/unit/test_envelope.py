"""Identity of events, and numbers that keep every digit."""

from uuid import UUID

import orjson
import pytest

from parley.landing.envelope import Digits, canonical_uuid, decode, named_uuid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0B6E5A2C-4D1F-4C7E-9A53-8F2D6B1E7C90", "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90"),
        ("0b6e5a2c4d1f4c7e9a538f2d6b1e7c90", "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90"),
        ("0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c9", None),
        ("0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c9g", None),
        ("0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90\n", None),
        ("", None),
    ],
)
def test_a_uuid_has_one_canonical_form(text: str, expected: str | None) -> None:
    assert canonical_uuid(text) == expected


def test_a_name_has_one_uuid() -> None:
    first, again, other = map(named_uuid, (b"ajs-next-1", b"ajs-next-1", b"ajs-next-2"))
    assert first == again != other
    assert UUID(first).version == 5


@pytest.mark.parametrize(
    "number", ["1", "-9223372036854775808", "18446744073709551615", "0.1", "12.50", "0.30000000000000004", "1e300"]
)
def test_a_number_that_64_bits_or_a_double_hold_stays_one(number: str) -> None:
    value, has_digits = decode(f'{{"n":{number}}}')
    assert not has_digits
    assert value["n"] == orjson.loads(number)


@pytest.mark.parametrize(
    "number",
    [
        "98765432109876543210",
        "-9223372036854775809",
        "0.12345678901234567890",
        "12345678901234567.5",
        "1e-400",
    ],
)
def test_a_number_that_would_be_rounded_keeps_its_digits(number: str) -> None:
    value, has_digits = decode(f'{{"n":[{number}]}}'.encode())
    assert has_digits
    assert value == {"n": [number]}
    assert isinstance(value["n"][0], Digits)


@pytest.mark.parametrize("line", [b'{"n": 98765432109876543210', b"98765432109876543210x", b'{"a":1e999}'])
def test_what_is_no_json_is_none_with_many_digits_either(line: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        decode(line)
