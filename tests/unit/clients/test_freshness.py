"""How long a fetched document counts (RFC 9111 §4.2)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oauthgw.clients import freshness

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HTTP_NOW = "Wed, 25 Nov 2026 12:00:00 GMT"
MINUTE, HOUR = 60, 3600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, HOUR),
        ({"cache-control": "max-age=1200"}, 1200),
        ({"cache-control": "public, Max-Age = 1200, stale-while-revalidate=60"}, 1200),
        ({"cache-control": 'private="set-cookie, x", max-age="1200"'}, 1200),
        ({"cache-control": "max-age=1200", "age": "200"}, 1000),
        ({"cache-control": "max-age=1200, max-age=5000"}, 1200),
        ({"cache-control": "s-maxage=5000, max-age=1200"}, 1200),
        ({"cache-control": "max-age=1200", "expires": "0"}, 1200),
        ({"cache-control": "public"}, HOUR),
        ({"expires": "Wed, 25 Nov 2026 12:20:00 GMT"}, 1200),
        ({"expires": "Wed, 25 Nov 2026 12:20:00 GMT", "age": "200"}, 1000),
        ({"expires": "Wed, 25 Nov 2026 15:20:00 GMT", "date": "Wed, 25 Nov 2026 15:00:00 GMT"}, 1200),
        ({"expires": "Wednesday, 25-Nov-26 12:20:00 GMT", "date": HTTP_NOW}, 1200),
    ],
    ids=str,
)
def test_what_http_says_counts(headers: dict[str, str], seconds: int) -> None:
    assert freshness.lifetime(headers, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-control": "no-store"},
        {"cache-control": "no-cache, max-age=3600"},
        {"cache-control": 'no-cache="x", max-age=3600'},
        {"cache-control": "max-age=0"},
        {"cache-control": "max-age=-1"},
        {"cache-control": "max-age=soon"},
        {"cache-control": "max-age"},
        {"cache-control": "max-age=100", "age": "5000"},
        {"expires": "0"},
        {"expires": "Wed, 25 Nov 2026 99:99:99 GMT"},
        {"expires": HTTP_NOW},
        {"expires": "Wed, 25 Nov 2020 12:00:00"},
    ],
    ids=str,
)
def test_but_nothing_makes_us_ask_more_often_than_each_five_minutes(headers: dict[str, str]) -> None:
    assert freshness.lifetime(headers, NOW) == timedelta(seconds=5 * MINUTE)


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-control": "max-age=31536000, immutable"},
        {"cache-control": "max-age=99999999999999999999999999"},
        {"cache-control": "max-age=9999999999999999999"},
        {"expires": "Wed, 25 Nov 2099 12:00:00 GMT"},
    ],
    ids=str,
)
def test_nor_less_often_than_each_day(headers: dict[str, str]) -> None:
    long = headers.get("cache-control", "") != "max-age=99999999999999999999999999"
    assert freshness.lifetime(headers, NOW) == timedelta(seconds=24 * HOUR if long else 5 * MINUTE)


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (timedelta(minutes=5), timedelta(minutes=1)),
        (timedelta(minutes=100), timedelta(minutes=2)),
        (timedelta(hours=20), timedelta(minutes=24)),
        (timedelta(days=6), timedelta(minutes=30)),
    ],
)
def test_the_longer_a_failure_lasts_the_longer_we_wait(age: timedelta, pause: timedelta) -> None:
    assert freshness.pause(NOW - age, NOW) == pause


def test_what_cannot_be_fetched_counts_for_a_week_and_no_longer() -> None:
    assert freshness.may_be_used(NOW - timedelta(days=7), NOW)
    assert not freshness.may_be_used(NOW - timedelta(days=7, seconds=1), NOW)


NUMBERS = st.integers(-(10**25), 10**25).map(str) | st.from_regex(r"[+-]?[0-9]{1,30}", fullmatch=True)
DATES = st.builds("{}, {} {} {} {}:{}:{} {}".format, st.sampled_from(["Mon", "x"]), NUMBERS, st.sampled_from(["Jan", "x"]), *[NUMBERS] * 5)
HEADER = st.text() | st.text('0123456789 :,+-JanMoGT="') | NUMBERS | DATES | st.sampled_from([HTTP_NOW, "Fri, 31 Dec 9999 23:59:59 -2359"])


@given(cache_control=HEADER | HEADER.map("max-age={}".format) | st.just(""), expires=HEADER, date=HEADER, age=HEADER)
@example(cache_control="", expires="Mon, 01 Jan 99999999999999999999 00:00:00 GMT", date="", age="")
@example(cache_control="", expires="Mon, 01 Jan 2024 00:00:00 +99999999999999999999", date="", age="")
@example(cache_control="", expires=HTTP_NOW, date="Mon, 01 Jan 99999999999999999999 00:00:00 GMT", age="")
def test_whatever_the_headers_say_a_document_counts_for_some_time_within_the_bounds(
    cache_control: str, expires: str, date: str, age: str
) -> None:
    headers = {"cache-control": cache_control, "expires": expires, "date": date, "age": age}
    assert freshness.LEAST <= freshness.lifetime(headers, NOW) <= freshness.MOST
