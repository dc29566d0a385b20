"""Rows for the gateway that is measured: `python -m bench.speed.seed UPSTREAM PROBE TOKENS`, prints the tokens as JSON.

A throw-away database is migrated and gets one route before the upstream, one before the probe of streams, and tokens for each (every one
with a grant of its own): no sign-in is needed.
"""

import json
import os
import secrets
import sys
from datetime import timedelta


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import transaction
    from django.utils import timezone
    from oauth2_provider.models import set_token_value

    from mcp_routes.models import McpRoute
    from oauthgw import tokens
    from oauthgw.clients import metadata, registration
    from oauthgw.models import AccessToken, Grant

    upstream, probe, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
    call_command("migrate", verbosity=0)
    client = registration.register(metadata.read({"redirect_uris": ["http://127.0.0.1/cb"]})).client
    user = User.objects.create_user("bench")

    def made(route: McpRoute, count: int) -> list[str]:
        resource = f"http://localhost/mcp/{route.slug}"
        grants = [Grant(user=user, client=client, resource_id=route.pk, resource=resource, scope="mcp:tools") for _ in range(count)]
        values = []
        rows = []
        for grant in Grant.objects.bulk_create(grants, batch_size=500):
            body = tokens.ACCESS_PREFIX + secrets.token_urlsafe(32)
            values.append(body + tokens._checksum(body))  # as minting does it, but without a code for each
            expires = timezone.now() + timedelta(days=1)
            row = AccessToken(user=user, application=client, scope=grant.scope, expires=expires, resource=[resource], grant=grant)
            set_token_value(row, values[-1])
            rows.append(row)
        AccessToken.objects.bulk_create(rows, batch_size=500)
        return values

    with transaction.atomic():
        bench = McpRoute.objects.create(slug="bench", name="Bench", upstream_url=upstream)
        streams = McpRoute.objects.create(slug="streams", name="Streams", upstream_url=probe)
        print(json.dumps({"bench": made(bench, wanted), "streams": made(streams, min(wanted, 2000))}))


if __name__ == "__main__":
    main()
