"""Client ID metadata documents as client rows: fetched when unknown or due, kept as HTTP allows, and used a while longer in a failure.

Knows the client row, the journal and the guarded client; the rules are in `cimd` and `freshness`. The authorization
endpoint asks; at the token endpoint a row counts as it stands, so that no token waits for a stranger's web server, unless its client signs:
then the keys must be those that the document has now.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from threading import Lock

from django.db import transaction
from django.utils import timezone

from oauthgw.clients import cimd, freshness, registration
from oauthgw.clients.cimd import InvalidDocument, NotAccepted
from oauthgw.clients.metadata import ClientMetadata
from oauthgw.guard import limits
from oauthgw.guard.conf import gateway
from oauthgw.guard.database import give_connection_back
from oauthgw.guard.fetch import CouldNotFetch, fetch
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client

log = logging.getLogger(__name__)

_lock = Lock()
_under_way: dict[str, Future[None]] = {}


class TooManyUnknown(Exception):
    """An address named too many clients that are not known here; after `seconds` it may again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def fetch_if_due(client_id: str, redirect_uri: str = "", *, address: str = "") -> None:
    """Sees to it that a client ID which is a URL has the row that its document deserves now. Other client IDs are left alone.

    A redirect URI that the kept document does not name asks for it again, as it may have been added since. Blocks for as long as `fetch`
    may take; never call it in a transaction. Raises InvalidDocument, NotAccepted, or CouldNotFetch for a client that is not known well
    enough to go on without; TooManyUnknown when `address`, where the request comes from, has us fetch for too many unknown ones.
    """
    if not cimd.is_url(client_id):
        return
    client = _find(client_id)
    if client is not None and not client.is_of_document:
        return  # an operator registered this URL by hand, and vouches for what is in the row (§6.8)
    cimd.judge(client_id)
    if client is None and gateway().client_registration == "closed":
        raise NotAccepted("On this gateway apps cannot introduce themselves: its operator adds each.")
    if client is None:
        seconds = limits.seconds_to_wait(limits.DOCUMENT, address)
        if seconds:
            raise TooManyUnknown(seconds)
    if client is None or _is_due(client, redirect_uri):
        _once(client_id, lambda: _renew(client_id, redirect_uri))


def _find(client_id: str) -> Client | None:
    found: Client | None = Client.objects.filter(client_id=client_id).first()
    return found


def _is_due(client: Client, redirect_uri: str) -> bool:
    if client.disabled_at is not None:
        return False
    now = timezone.now()
    if client.cimd_expires_at is None or client.document_fetched_at is None or client.cimd_expires_at <= now:
        return True
    is_new = bool(redirect_uri) and not client.redirect_uri_allowed(redirect_uri)
    return is_new and client.document_fetched_at + freshness.LEAST <= now


def _once(client_id: str, work: Callable[[], None]) -> None:
    """Does the work for a client once at a time in this process: whoever comes meanwhile waits for the same outcome."""
    with _lock:
        running = _under_way.get(client_id)
        mine = _under_way.setdefault(client_id, Future())
    if running is not None:
        give_connection_back()
        return running.result()
    try:
        work()
    except BaseException as error:
        mine.set_exception(error)
        raise
    else:
        mine.set_result(None)
    finally:
        with _lock:
            del _under_way[client_id]


def _renew(client_id: str, redirect_uri: str) -> None:
    """Fetches, judges and keeps a document. What has just been kept by another request is not fetched again."""
    client = _find(client_id)
    if client is not None and not _is_due(client, redirect_uri):
        return
    give_connection_back()
    try:
        fetched = fetch(client_id)
    except CouldNotFetch as error:
        log.warning("client ID metadata document not fetched: %s: %s", client_id, error)
        if client is None or not _postponed(client):
            raise
        return
    try:
        judged = cimd.read(client_id, fetched.content)
    except InvalidDocument as error:
        log.warning("client ID metadata document not valid: %s: %s", client_id, error)
        raise
    now = timezone.now()
    keep(client_id, judged, fetched_at=now, expires_at=now + freshness.lifetime(fetched.headers, now))


def _postponed(client: Client) -> bool:
    """Whether this client goes on with the document of before, which is then asked for again after a while."""
    now, fetched_at = timezone.now(), client.document_fetched_at
    if fetched_at is None or not freshness.may_be_used(fetched_at, now):
        return False
    Client.objects.filter(pk=client.pk, cimd_expires_at__lte=now).update(cimd_expires_at=now + freshness.pause(fetched_at, now))
    return True


@transaction.atomic
def keep(client_id: str, judged: ClientMetadata, *, fetched_at: datetime, expires_at: datetime) -> None:
    """Writes the row of a document that was judged good, and journals what is new about it."""
    times = {"document_fetched_at": fetched_at, "cimd_expires_at": expires_at}
    client, is_new = Client.objects.select_for_update().get_or_create(
        client_id=client_id,
        defaults={
            **registration.columns(judged),
            **times,
            "client_secret": registration.new_secret().reveal(),  # nobody is told it: a digest of nothing would match nothing
            "authorization_grant_type": Client.GRANT_AUTHORIZATION_CODE,
            "registration_source": Client.RegistrationSource.CIMD,
        },
    )
    if is_new:
        record(Kind.CLIENT_REGISTERED, client_id=client_id, reason=judged.client_name)
        return
    before = registration.metadata_of(client)
    if not client.is_of_document:
        return
    if before == judged:
        Client.objects.filter(pk=client.pk).update(**times)
        return
    _change(client, before, judged, times)


def _change(client: Client, before: ClientMetadata, judged: ClientMetadata, times: dict[str, datetime]) -> None:
    record(
        Kind.CLIENT_CHANGED,
        client_id=client.client_id,
        reason=f"Its metadata document changed {registration.named_changes(before, judged)}.",
    )
    was_trusted = not _is_what_was_approved(before, judged) and registration.withdraw_trust(client)
    for name, value in {**registration.columns(judged), **times}.items():
        setattr(client, name, value)
    client.save()
    if was_trusted:
        publish(Topic.CLIENT, client.pk)


def _is_what_was_approved(before: ClientMetadata, after: ClientMetadata) -> bool:
    """Whether an operator's word still holds: for the name, for how the client proves itself, and for where it may be reached.

    In every mode of CLIENT_REGISTRATION, because an approval also lets errors redirect and calls a client verified. A redirect URI that
    went, or another logo, takes nothing away from what was vouched for.
    """
    kept = ("client_uri", "jwks", "jwks_uri")
    return (
        set(after.redirect_uris) <= set(before.redirect_uris)
        and (after.client_name, after.token_endpoint_auth_method) == (before.client_name, before.token_endpoint_auth_method)
        and all(after.extras.get(name) == before.extras.get(name) for name in kept)
    )
