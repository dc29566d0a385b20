"""`manage.py reconcile`: asks WorkOS's Events API for what its webhooks missed. Run it every hour, on any node or on all of them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oauthgw.guard.conf import gateway
from oauthgw.identity.provider import ProviderError
from oauthgw.identity.reconcile import reconcile
from oauthgw.identity.workos_api import WorkOSApi


class Command(BaseCommand):
    help = "Asks WorkOS for the removals and changes of users that its webhooks did not tell, and makes them true here."

    def handle(self, *args: Any, **options: Any) -> None:
        settings = gateway().workos
        if not settings.client_id:
            raise CommandError("WORKOS_CLIENT_ID is not set, so that nobody signs in with WorkOS and there is nothing to ask for.")
        try:
            read = reconcile(WorkOSApi(settings))
        except ProviderError as error:
            raise CommandError(
                f"{error.sentence} {error.mend} What was read before is kept; run it again later.".replace("  ", " ")
            ) from error
        events = "1 event" if read.count == 1 else f"{read.count} events"
        self.stdout.write(f"{events} of WorkOS read." + ("" if read.to_the_end else " Another process goes on reading."))
