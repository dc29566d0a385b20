"""Client ID metadata documents: which URL is a client, and what its document must say.

Pure: no request, no database, no network. What a document says of the client itself is judged by `metadata`, as a registration is. Sources:
draft-ietf-oauth-client-id-metadata-document-01, MCP 2026-07-28 "Client ID Metadata Documents".
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from oauthgw.clients import metadata
from oauthgw.clients.metadata import ClientMetadata, InvalidMetadata
from oauthgw.guard import fetch
from oauthgw.guard.conf import gateway

AUTH_METHODS = ("none", "private_key_jwt")
_OF_SECRETS = ("client_secret", "client_secret_expires_at")


class InvalidDocument(Exception):
    """A client ID or a document that breaks the rules. Its text is a sentence for the app's makers."""


class NotAccepted(Exception):
    """A client that the operator's settings keep out, whatever its document says. Its text is for a page."""


def is_url(client_id: str) -> bool:
    """Whether a client ID means a document. The ones made here never look like that (§6.7)."""
    return client_id[:8].lower().startswith(("https://", "http://")) and "\x00" not in client_id


def domain(client_id: str) -> str:
    """The host whose word the document is, in ASCII form, with its port where it has one."""
    return urlsplit(client_id).netloc.lower()


def judge(client_id: str) -> None:
    """Whether this URL may be a client here (§3). Raises InvalidDocument, or NotAccepted for a host that CIMD_ALLOWED_HOSTS leaves out.

    It is never normalised: it is compared, stored and answered to the letter.
    """
    try:
        target = fetch.judge(client_id)
    except fetch.RefusedUrl as refused:
        raise InvalidDocument(refused.sentence) from refused
    path = target.path.partition("?")[0]
    if path == "/":
        raise InvalidDocument("The address has no path; a document has one, as in https://app.example.com/client.json.")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise InvalidDocument("The address has a path segment '.' or '..'; write the path that it leads to.")
    allowed = gateway().cimd_allowed_hosts
    if allowed and not fetch.is_listed(target.name, target.port, allowed):
        raise NotAccepted(f"The operator of this gateway lists the hosts whose apps may connect, and {target.name} is not among them.")


def read(client_id: str, content: bytes) -> ClientMetadata:
    """Judges the document that stands at this URL (§4). Raises InvalidDocument.

    Its content type is not asked about: the words that were served are the same under another.
    """
    document = _object(content)
    if document.get("client_id") != client_id:
        named = document.get("client_id")
        shown = repr(named[:200]) if isinstance(named, str) else "nothing"
        raise InvalidDocument(f"Its member client_id must be the document's own address to the letter, {client_id!r}, and is {shown}.")
    forbidden = next((member for member in _OF_SECRETS if member in document), None)
    if forbidden is not None:
        raise InvalidDocument(f"It has the member {forbidden}; a public document can hold no secret.")
    try:
        judged = metadata.read({**document, "token_endpoint_auth_method": _auth_method(document)})
    except InvalidMetadata as invalid:
        raise InvalidDocument(invalid.description) from invalid
    if not judged.client_name:
        raise InvalidDocument("Its member client_name is missing; it is what people are asked about.")
    return judged


def _object(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidDocument("It is not JSON in UTF-8.") from error
    if not isinstance(document, dict):
        raise InvalidDocument("It is not a JSON object.")
    return document


def _auth_method(document: Mapping[str, Any]) -> str:
    """How the client will prove itself: not at all if its document allows that, else by its own key (§4.1, §6.2).

    Clients that can do both say so in `token_endpoint_auth_methods_supported`, and then prefer what servers of their day lack.
    """
    named = document.get("token_endpoint_auth_method")
    if isinstance(named, str) and named.startswith("client_secret_"):
        raise InvalidDocument(f"It asks for {named[:40]!r}, but there is no way to agree on a secret. {_ACCEPTED}")
    also = document.get("token_endpoint_auth_methods_supported")
    offered = [named, *(also if isinstance(also, list) else ())]
    if named in (None, "") and len(offered) == 1:
        return "none"
    for method in AUTH_METHODS:
        if method in offered:
            return method
    raise InvalidDocument(f"Its token_endpoint_auth_method is none that this gateway offers. {_ACCEPTED}")


_ACCEPTED = "Accepted are none, and private_key_jwt with jwks or jwks_uri."
