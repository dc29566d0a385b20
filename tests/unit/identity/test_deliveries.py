"""Which deliveries come from WorkOS, and just now."""

import pytest

from oauthgw.guard.secret import Secret
from oauthgw.identity import deliveries
from tests.support.webhooks import SECRET, mac

NOW = 1_790_000_000.0
BODY = b'{"event": "user.deleted",  "data": {"name": "\xc3\x85"}}'
SECONDS, MILLISECONDS = int(NOW), int(NOW * 1000)


def signed(timestamp: object, body: bytes = BODY, secret: str = SECRET) -> str:
    return f"t={timestamp}, v1={mac(body, timestamp, secret)}"


def accepted(header: str, body: bytes = BODY) -> bool:
    try:
        deliveries.check(header, body, Secret(SECRET), NOW)
    except deliveries.Unsigned:
        return False
    return True


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(signed(MILLISECONDS), id="in milliseconds, as documented"),
        pytest.param(signed(SECONDS), id="in seconds, as the emulator"),
        pytest.param(signed(SECONDS).replace(", ", ","), id="without a space"),
        pytest.param(signed(SECONDS - 180), id="three minutes old, in seconds"),
        pytest.param(signed(MILLISECONDS - 180_000), id="three minutes old, in milliseconds"),
        pytest.param(signed(SECONDS + 180), id="a clock that is ahead, in seconds"),
        pytest.param(signed(MILLISECONDS + 180_000), id="a clock that is ahead, in milliseconds"),
        pytest.param(f"t={SECONDS}, v1={'0' * 64}, v1={mac(BODY, SECONDS)}", id="the second of two signatures"),
        pytest.param(f"t={SECONDS}, v1={mac(BODY, SECONDS)}, v1={'0' * 64}", id="the first of two signatures"),
        pytest.param(f"t={SECONDS}, v0=x, v1={mac(BODY, SECONDS)}, v2=y", id="beside other versions"),
    ],
)
def test_what_is_signed_counts(header: str) -> None:
    assert accepted(header)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="no header"),
        pytest.param(f"t={SECONDS}", id="no signature"),
        pytest.param(f"v1={mac(BODY, SECONDS)}", id="no timestamp"),
        pytest.param(f"t=, v1={mac(BODY, '')}", id="an empty timestamp"),
        pytest.param(f"t={SECONDS}, v1=", id="an empty signature"),
        pytest.param(f"t={SECONDS}, v1=\u00e5", id="not ASCII"),
        pytest.param(signed("\u0661790000000"), id="digits of another script"),
        pytest.param(signed(f"-{SECONDS}"), id="a sign"),
        pytest.param(signed("9" * 5_000), id="a number too long to read"),
        pytest.param(f"t={SECONDS}, v1={mac(BODY, SECONDS)[:32]}", id="half a signature"),
        pytest.param(f"t={SECONDS}, v0={mac(BODY, SECONDS)}", id="another version"),
        pytest.param(f"t={SECONDS}, v2={mac(BODY, SECONDS)}", id="a later version"),
        pytest.param(signed(SECONDS, secret="another"), id="another secret"),
        pytest.param(signed(SECONDS, secret=""), id="no secret"),
        pytest.param(signed(SECONDS, body=BODY + b" "), id="another body"),
        pytest.param(signed(SECONDS, body=BODY.replace(b"  ", b" ")), id="the same JSON in other bytes"),
        pytest.param(f"t={SECONDS}, v1={mac(BODY, SECONDS - 1)}", id="another moment"),
        pytest.param(f"t={MILLISECONDS}, v1={mac(BODY, SECONDS)}", id="the moment in the other unit"),
        pytest.param(f"t={SECONDS}, t={SECONDS - 1}, v1={mac(BODY, SECONDS)}", id="two moments"),
        pytest.param(signed(SECONDS - 181), id="stale, in seconds"),
        pytest.param(signed(MILLISECONDS - 181_000), id="stale, in milliseconds"),
        pytest.param(signed(SECONDS + 181), id="of the future, in seconds"),
        pytest.param(signed(MILLISECONDS + 181_000), id="of the future, in milliseconds"),
        pytest.param(signed(0), id="of 1970"),
        pytest.param(signed(SECONDS) + "," * 1_000, id="a header without end"),
    ],
)
def test_nothing_else_does(header: str) -> None:
    assert not accepted(header)
