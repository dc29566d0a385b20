"""What a client assertion must say and who must have signed it (RFC 7523 §2.2 and §3, OpenID Connect Core §9, OAuth 2.1 §2.4).

Pure: no request, no database, no network. `authentication` brings the client's keys and sees to it that an assertion is used once.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from oauthgw.clients import keys
from oauthgw.guard import sealed

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2
MAX_LENGTH = 8_000
MAX_ID = 255  # characters of a `jti`
LEEWAY = 60  # seconds by which clocks may differ
MAX_LIFETIME = 3600  # seconds; what widely used libraries sign by default, and as long as a `jti` is remembered
_END_OF_TIME = 1e12  # 33,000 years ahead, and no number too large for a clock

_jws = PyJWS(algorithms=list(keys.ALGORITHMS))


class NotProven(Exception):
    """An assertion that proves nothing. The text is for the client's author and holds nothing but what was sent."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A client assertion taken apart: whose it claims to be, and which key it names. Nothing of it is proven."""

    text: str = field(repr=False)
    client_id: str
    algorithm: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """A client that has proven who it is, by an assertion that is good once: `digest` is of client id and `jti`; Unix seconds."""

    client_id: str
    digest: str
    expires_at: float


def read(text: str) -> Assertion:
    """Takes an assertion apart, to find the client whose keys decide. Raises NotProven."""
    if len(text) > MAX_LENGTH:
        raise NotProven(f"The client assertion is longer than {MAX_LENGTH} characters.")
    try:
        opened = _jws.decode_complete(text, options={"verify_signature": False})
    except (PyJWTError, ValueError, RecursionError) as error:
        raise NotProven("The client assertion is not a signed JWT in compact form.") from error
    header, claims = opened["header"], _claims(opened["payload"])
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in keys.ALGORITHMS:
        raise NotProven(f"The client assertion must be signed with one of {', '.join(keys.ALGORITHMS)}.")
    if "crit" in header:
        raise NotProven("The client assertion has a critical header, and none is understood here (RFC 7515 §4.1.11).")
    if key_id is not None and not isinstance(key_id, str):
        raise NotProven("The client assertion's kid must be a string.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or claims.get("iss") != subject:
        raise NotProven("The client assertion's iss and sub must both be the client_id.")
    return Assertion(text, subject, algorithm, key_id)


def prove(assertion: Assertion, key_set: keys.KeySet, is_audience: Callable[[str], bool], now: float) -> Proof:
    """Who has signed this assertion for us: the client it names, if one of its keys did and every claim fits. Raises NotProven."""
    claims = _signed_claims(assertion, keys.fitting(key_set, assertion.key_id, assertion.algorithm))
    _refuse_audience(claims.get("aud"), is_audience)
    expires_at = _refuse_times(claims, now)
    identifier = claims.get("jti")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_ID:
        raise NotProven(f"The client assertion needs a jti of at most {MAX_ID} characters, another one each time.")
    return Proof(assertion.client_id, sealed.digest(json.dumps([assertion.client_id, identifier])), expires_at + LEEWAY)


def _signed_claims(assertion: Assertion, candidates: list[keys.PublicKey]) -> Mapping[str, Any]:
    for key in candidates:
        try:
            return _claims(_jws.decode_complete(assertion.text, key, algorithms=[assertion.algorithm])["payload"])
        except PyJWTError:
            continue
    raise NotProven("The client assertion is not signed by a key of this client that is published for its alg and kid.")


def _refuse_audience(value: Any, is_audience: Callable[[str], bool]) -> None:
    """RFC 7523 §3, item 3: one value or several, of which one is the authorization server."""
    audiences = value if isinstance(value, list) else [value]
    if not any(isinstance(audience, str) and is_audience(audience) for audience in audiences):
        raise NotProven("The client assertion's aud must be the issuer, or the URL of the endpoint it is sent to.")


def _refuse_times(claims: Mapping[str, Any], now: float) -> float:
    """RFC 7523 §3, items 4 to 6; the answer is the expiry in Unix seconds."""
    expires_at = _moment(claims, "exp")
    if expires_at is None or expires_at <= now - LEEWAY:
        raise NotProven("The client assertion needs an exp that has not passed.")
    if expires_at > now + MAX_LIFETIME + LEEWAY:
        raise NotProven(f"The client assertion's exp is more than {MAX_LIFETIME} seconds ahead.")
    not_before, issued_at = _moment(claims, "nbf"), _moment(claims, "iat")
    if not_before is not None and not_before > now + LEEWAY:
        raise NotProven("The client assertion's nbf is still to come.")
    if issued_at is not None and not now - MAX_LIFETIME - LEEWAY <= issued_at <= now + LEEWAY:
        raise NotProven(f"The client assertion's iat is still to come, or more than {MAX_LIFETIME} seconds ago.")
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 §2), if the claim is there."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _END_OF_TIME:  # NaN is not less than anything
        raise NotProven(f"The client assertion's {name} must be a number of seconds since 1970.")
    return float(value)


def _claims(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise NotProven("The client assertion's claims are not JSON.") from error
    if not isinstance(claims, dict):
        raise NotProven("The client assertion's claims are not a JSON object.")
    return claims
