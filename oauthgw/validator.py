"""The seam towards django-oauth-toolkit and oauthlib: a switchboard, no rule of its own.

Each method translates what oauthlib asks into one question for the room that knows: clients, codes, tokens, scopes, resources.
"""

import logging
from functools import partial
from typing import Any

from django.contrib.auth.hashers import check_password
from django.db import transaction
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from oauthgw import codes, resources, scopes, tokens
from oauthgw.clients import authentication, registration
from oauthgw.clients.assertions import Proof
from oauthgw.clients.hasher import SealedDigestHasher
from oauthgw.guard import origin
from oauthgw.identity import standing
from oauthgw.models import AuthorizationCode, Client

log = logging.getLogger(__name__)


class Validator(OAuth2Validator):  # type: ignore[misc]  # django-oauth-toolkit is not typed
    """What oauthlib may ask of the gateway."""

    # Clients

    def client_authentication_required(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        proven = authentication.PROOF in request.headers
        return proven or bool(super().client_authentication_required(request, *args, **kwargs))

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """By the way that is registered, and as nobody else: a `client_id` in the body must be the one that is proven (RFC 6749 §2.3.1).

        Either way of sending a secret will do, because clients mix them; a client that signs has none, so that no secret is its own.
        """
        proof: Proof | None = request.headers.get(authentication.PROOF)
        if proof is not None:
            return self._load_application(proof.client_id, request) is not None and authentication.spend(proof)
        authenticated = super().authenticate_client(request, *args, **kwargs) and not request.client.signs
        return bool(authenticated and request.client_id in (None, "", request.client.client_id))

    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        """Django's own check, which also moves a digest to the present key, but not one that is there: it prefers people's hasher."""
        rekey = partial(registration.rekey, stored_secret)
        return check_password(provided_secret, stored_secret, rekey, preferred=SealedDigestHasher.algorithm)

    def _load_application(self, client_id: str, request: Request) -> Client | None:
        """A client id with a NUL is nobody's; PostgreSQL would not even be asked (DataError)."""
        if client_id and "\x00" in client_id:
            return None
        found: Client | None = super()._load_application(client_id, request)
        return found

    def validate_grant_type(self, client_id: str, grant_type: str, client: Client, request: Request, *args: Any, **kwargs: Any) -> bool:
        return grant_type in ("authorization_code", "refresh_token")

    def validate_response_type(
        self, client_id: str, response_type: str, client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        return True  # oauthlib has seen a "code" in it; authorization.refuse_unsupported wants it to be that and nothing else

    def validate_scopes(self, client_id: str, requested: list[str], client: Client, request: Request, *args: Any, **kwargs: Any) -> bool:
        request.scopes = scopes.kept(" ".join(requested)).split()
        return True

    # Codes. They are given by oauthgw.consent, never by oauthlib.

    def save_authorization_code(self, client_id: str, code: dict[str, str], request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("codes are given by oauthgw.codes.give, after a decision on the consent page")

    def validate_code(self, client_id: str, code: str, client: Client, request: Request, *args: Any, **kwargs: Any) -> bool:
        row = codes.find(code, client)
        if row is None or not self._same_redirect(request, row):
            return False
        self._same_resource(request, row.resource_id, row.resource[0])
        if not codes.may_be_redeemed(row, request.code_verifier):
            return False
        request.code_row, request.user, request.scopes = row, row.user, row.scope.split()
        return True

    def get_code_challenge(self, code: str, request: Request) -> str:
        return str(request.code_row.code_challenge)

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        return str(request.code_row.code_challenge_method)

    def confirm_redirect_uri(self, client_id: str, code: str, redirect_uri: str, client: Client, *args: Any, **kwargs: Any) -> bool:
        return True  # validate_code compared it with the code's own

    def invalidate_authorization_code(self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any) -> None:
        pass  # tokens.mint marked it, with the grant it became

    # Refresh tokens

    def validate_refresh_token(self, refresh_token: str, client: Client, request: Request, *args: Any, **kwargs: Any) -> bool:
        presented = tokens.find_refresh_token(refresh_token, client)
        if presented is None:
            return False
        self._same_resource(request, presented.grant.resource_id, presented.grant.resource)
        if presented.grant.is_signed_for and authentication.PROOF not in request.headers:
            raise errors.InvalidClientError(description="This client proved itself by its own key before, and must now.", request=request)
        if not tokens.may_be_exchanged(presented):
            return False
        standing.confirm(presented.grant.user)
        request.refresh_token_instance, request.user = presented, presented.grant.user
        return True

    def get_original_scopes(self, refresh_token: str, request: Request, *args: Any, **kwargs: Any) -> str:
        return str(request.refresh_token_instance.grant.scope)

    def is_within_original_scope(self, request_scopes: list[str], refresh_token: str, request: Request, *args: Any, **kwargs: Any) -> bool:
        return True  # unknown scopes are dropped: the answer always carries the grant's own

    # Tokens

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        """Without the savepoint of django-oauth-toolkit's own: the view's transaction holds the whole request."""
        issued = self._issue(request)
        token.update(access_token=issued.access_token.reveal(), expires_in=issued.expires_in, scope=issued.scope)
        token.pop("refresh_token", None)
        if issued.refresh_token is not None:
            token["refresh_token"] = issued.refresh_token.reveal()

    def revoke_token(self, token: str, token_type_hint: str | None, request: Request, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            tokens.revoke_value(token, request.client)

    def _issue(self, request: Request) -> tokens.Issued:
        presented: tokens.Presented | None = getattr(request, "refresh_token_instance", None)
        if presented is None:
            code: AuthorizationCode = request.code_row
            return tokens.mint(code, with_refresh_token=code.may_refresh, signed_for=authentication.PROOF in request.headers)
        try:
            return tokens.exchange(presented, request.refresh_token)
        except tokens.ChainBroken as error:
            log.warning("a repeated refresh cannot be answered: key %s was removed from TOKEN_ENCRYPTION_KEYS", error)
            raise errors.InvalidGrantError(request=request) from error

    # Translations

    @staticmethod
    def _same_redirect(request: Request, row: AuthorizationCode) -> bool:
        """RFC 6749 §4.1.3: the redirect URI of the authorization request, if given; OAuth 2.1 lets it go, because PKCE binds the code."""
        if request.redirect_uri is None:
            request.redirect_uri = row.redirect_uri
        return bool(request.redirect_uri == row.redirect_uri)

    @staticmethod
    def _same_resource(request: Request, resource_id: int, as_issued: str) -> None:
        """RFC 8707 §2.2: a `resource` at the token endpoint must name what was granted. Raises `invalid_target`.

        As it was issued it always does, also while the resource is switched off.
        """
        values = [value for name, value in request.decoded_body or [] if name == "resource"]
        try:
            if values and all(resources.canonical_resource(value) == as_issued for value in values):
                return
            named = resources.named(values, origin.of_host(request.headers.get("HTTP_HOST", "")))
        except resources.InvalidTarget as error:
            raise errors.CustomOAuth2Error("invalid_target", description=str(error), request=request) from error
        if named is not None and named.id != resource_id:
            raise errors.CustomOAuth2Error(
                "invalid_target", description="This code or token was issued for another resource.", request=request
            )
