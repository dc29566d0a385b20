"""WorkOS AuthKit as the identity provider.

Knows WorkOS's endpoints, its answers and its access token; knows no request of ours, no table and no page.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt

from oauthgw.guard.conf import WorkOS
from oauthgw.identity import jwks, wire
from oauthgw.identity.provider import Kind, Person, ProviderError
from oauthgw.identity.workos_refusals import UNTRUSTED_MEND, refusal

LEEWAY_SECONDS = 60  # clocks differ: fresh tokens of real environments were refused as "not yet valid" without it
_ALGORITHMS = ["RS256"]  # fixed here, never taken from the token (RFC 8725 §3.1)
_REQUIRED = ["exp", "iat", "iss", "sub"]

NAME_LENGTH = 150
EMAIL_LENGTH = 254
ID_LENGTH = 255
MAX_PERMISSIONS = 500


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where one WorkOS environment answers. `issuer` is the one its documents name; `issuers` are those its tokens may carry."""

    issuer: str
    issuers: tuple[str, str]
    jwks: str
    authorize: str
    token: str
    logout: str


def endpoints(client_id: str, base: str) -> Endpoints:
    """Derives the endpoints of an environment from its client id; `base` is the API's URL without a trailing slash.

    Real tokens carry `{base}/user_management/{client_id}` as issuer; WorkOS's own documentation shows the bare base.
    """
    issuer = f"{base}/user_management/{client_id}"
    return Endpoints(
        issuer=issuer,
        issuers=(issuer, base),
        jwks=f"{base}/sso/jwks/{client_id}",
        authorize=f"{base}/user_management/authorize",
        token=f"{base}/user_management/authenticate",
        logout=f"{base}/user_management/sessions/logout",
    )


class WorkOSProvider:
    """Signs people in through the hosted AuthKit page of one WorkOS environment."""

    name = "workos"
    label = "WorkOS"

    def __init__(self, settings: WorkOS) -> None:
        self._settings = settings
        self._endpoints = endpoints(settings.client_id, settings.api_base_url)

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str, login_hint: str = "", prompt: str = "") -> str:
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "provider": "authkit",  # the one selector WorkOS requires: its hosted page, with whatever is enabled there
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        query |= {name: value for name, value in (("login_hint", login_hint), ("prompt", prompt)) if value}
        return f"{self._endpoints.authorize}?{urlencode(query)}"

    def exchange(self, *, code: str, verifier: str, ip: str, user_agent: str) -> Person:
        body = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.reveal(),
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
        }
        # WorkOS Radar and its audit log use these two; an empty one would be refused.
        body |= {name: value for name, value in (("ip_address", ip), ("user_agent", user_agent)) if value}
        answer = wire.ask("POST", self._endpoints.token, body)
        if answer.status != 200:
            raise refusal(answer)
        if answer.body is None:
            raise ProviderError(Kind.FAILING, "WorkOS gave an answer that could not be read.", detail="no JSON object")
        return self._person(answer.body)

    def confirm_credentials(self) -> None:
        """Returns when client ID and API key are of one environment. Blocks on the network. Raises ProviderError.

        Asked with a code that never was, WorkOS refuses the code; when it refuses who asks, they are not.
        """
        try:
            self.exchange(code="never_given", verifier="v" * 43, ip="", user_agent="")
        except ProviderError as error:
            if error.kind is not Kind.REFUSED:
                raise

    def sign_out_url(self, *, session_id: str, return_to: str) -> str:
        return f"{self._endpoints.logout}?{urlencode({'session_id': session_id, 'return_to': return_to})}"

    def _person(self, body: dict[str, Any]) -> Person:
        user, token = body.get("user"), body.get("access_token")
        if not isinstance(user, dict) or not isinstance(token, str):
            raise ProviderError(Kind.FAILING, "WorkOS gave an answer that could not be read.", detail="no user or no access token")
        claims = self.verified_claims(token)
        subject = claims["sub"]
        if subject != user.get("id") or subject != text_of(subject, NAME_LENGTH):
            raise _untrusted("the token speaks of another user than the answer")
        role = text_of(claims.get("role"), ID_LENGTH)
        return Person(
            subject=subject,
            email=email_of(user.get("email")),
            email_verified=user.get("email_verified") is True,
            first_name=text_of(user.get("first_name"), NAME_LENGTH),
            last_name=text_of(user.get("last_name"), NAME_LENGTH),
            organization_id=text_of(claims.get("org_id") or body.get("organization_id"), ID_LENGTH),
            role=role,
            roles=frozenset(filter(None, (role, *_texts(claims.get("roles"))))),
            permissions=_texts(claims.get("permissions")),
            session_id=text_of(claims.get("sid"), ID_LENGTH),
            impersonator=_impersonator(body.get("impersonator"), claims.get("act")),
        )

    def verified_claims(self, token: str) -> dict[str, Any]:
        """The claims of an access token of this environment (RFC 7519 §7.2, RFC 8725 §3).

        No `aud` is guaranteed, so the token is bound by issuer and key set, and by `client_id` and `aud` where they are present.
        Raises ProviderError (UNTRUSTED, or whatever kept the key set away).
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            if not isinstance(key_id, str):
                raise _untrusted("no key id")
            claims = jwt.decode(
                token,
                jwks.fetch_key(self._endpoints.jwks, key_id),
                algorithms=_ALGORITHMS,
                issuer=self._endpoints.issuers,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED, "verify_aud": False},
            )
        except jwks.UnknownKey as error:
            raise _untrusted("unknown key id") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _untrusted(type(error).__name__) from error
        self._check_client(claims)
        return claims

    def _check_client(self, claims: dict[str, Any]) -> None:
        client_id = self._settings.client_id
        if "client_id" in claims and claims["client_id"] != client_id:
            raise _untrusted("client_id of another environment")
        if "aud" in claims:
            audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
            if client_id not in audience:
                raise _untrusted("aud of another environment")


def _untrusted(detail: str) -> ProviderError:
    return ProviderError(
        Kind.UNTRUSTED, "What WorkOS answered does not prove who you are, so nobody was signed in.", mend=UNTRUSTED_MEND, detail=detail
    )


def text_of(value: object, limit: int) -> str:
    """A string fit to store and show: no control characters (PostgreSQL refuses NUL) or lone surrogates, cut at `limit` characters."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value if char.isprintable())[:limit]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(text for text in (text_of(item, ID_LENGTH) for item in value[:MAX_PERMISSIONS]) if text)


def email_of(value: object) -> str:
    """The address, or nothing: an address that was cleaned or cut would be another one."""
    text = text_of(value, EMAIL_LENGTH)
    return text if text == value and "@" in text else ""


def _impersonator(named: object, actor: object) -> str:
    """Who acts in the person's name: the answer's `impersonator.email`, or the token's `act.sub` (RFC 8693 §4.1). Either suffices."""
    email = named.get("email") if isinstance(named, dict) else None
    subject = actor.get("sub") if isinstance(actor, dict) else None
    if named or actor:
        return text_of(email, EMAIL_LENGTH) or text_of(subject, ID_LENGTH) or "unknown"
    return ""
