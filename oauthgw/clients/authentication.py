"""A client proves itself by an assertion that it signed (`private_key_jwt`): from the parameters of a request to a proof, and its one use.

Two steps. Examining may wait for the client's key set, and so must happen before a transaction; an assertion is spent inside it, together
with what it was shown for. Between the two the proof travels under PROOF among the request's environment, as a web server hands on who a
user is: no header can be called that. `assertions` judges, `key_sets` brings the keys. Authentication by secret is the library's.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import IntegrityError, transaction

from oauthgw import resources
from oauthgw.clients import assertions, documents, key_sets, keys, metadata
from oauthgw.clients.assertions import NotProven, Proof
from oauthgw.clients.cimd import InvalidDocument, NotAccepted
from oauthgw.guard import origin
from oauthgw.models import Client, UsedAssertion
from oauthgw.models.client import usable_clients

PROOF = "oauthgw.proof"
_TOKEN_ENDPOINTS = ("/oauth/token", "/token")

now = time.time


def examine(assertion_text: str, named_client: str | None, is_audience: Callable[[str], bool]) -> Proof:
    """Who proves to be which client by this assertion; `named_client` is the request's own `client_id`, if it has one.

    Raises NotProven, or CouldNotFetch when the client's keys are out of reach.
    """
    assertion = assertions.read(assertion_text)
    if named_client not in (None, assertion.client_id):
        raise NotProven("The request's client_id is not the client assertion's sub.")
    client = _signer(assertion.client_id)
    if client.is_of_document:
        client = _renewed(client)
    try:
        key_set = key_sets.obtain(client, assertion.key_id)
    except keys.UnfitKeys as unfit:
        raise NotProven(f"The client's key set cannot be used. {unfit}") from unfit
    return assertions.prove(assertion, key_set, is_audience, now())


def spend(proof: Proof) -> bool:
    """Uses an assertion up; False when any node has seen it before (RFC 7523 §3, item 7). Safe under any number at once."""
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(digest=proof.digest, expires_at=datetime.fromtimestamp(proof.expires_at, UTC))
    except IntegrityError:
        return False
    return True


def audiences(at: str, endpoint: str) -> Callable[[str], bool]:
    """Who an assertion sent to this endpoint path of the gateway at this origin may be meant for.

    The gateway's issuer, any route's, the token endpoint (OpenID Connect Core §9) and the endpoint itself; spelled as `resource` is.
    """

    def is_audience(value: str) -> bool:
        try:
            wanted = resources.canonical_resource(value)
        except resources.InvalidTarget:
            return False
        own = [resources.canonical_resource(spelling) for spelling in origin.spellings(at)]
        if wanted in own:
            return True
        paths = [wanted.removeprefix(spelling) for spelling in own if wanted.startswith(f"{spelling}/")]
        return any(path in (*_TOKEN_ENDPOINTS, endpoint) or resources.backend().find(path) is not None for path in paths)

    return is_audience


def _renewed(client: Client) -> Client:
    """The client as its metadata document has it now: a key that was taken out of it proves nothing any more."""
    try:
        documents.fetch_if_due(client.client_id)
    except (InvalidDocument, NotAccepted) as refused:
        raise NotProven(f"The client's metadata document does not count any more. {refused}") from refused
    return _signer(client.client_id)


def _signer(client_id: str) -> Client:
    if not client_id.isascii() or not client_id.isprintable():  # no client here is called so, and no database can be asked for all of it
        raise NotProven("There is no such client.")
    client: Client | None = Client.objects.filter(usable_clients(), client_id=client_id).first()
    if client is None:
        raise NotProven("The client is unknown, switched off or waiting for an operator's approval.")
    if not client.may_sign:
        raise NotProven(f"This client is registered for {client.token_endpoint_auth_method}, not for {metadata.ASSERTION_METHOD}.")
    return client
