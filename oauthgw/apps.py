from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OAuthGatewayConfig(AppConfig):
    name = "oauthgw"
    verbose_name = "Authorization server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from oauthgw import auditors, checks, gone  # noqa: F401  (registers the system checks, and what is told of rows that go)

        post_migrate.connect(auditors.provide_group, dispatch_uid="oauthgw.auditors")  # here: behind Django's own, which makes permissions
