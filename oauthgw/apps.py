from django.apps import AppConfig


class OAuthGatewayConfig(AppConfig):
    name = "oauthgw"
    verbose_name = "Authorization server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from oauthgw import checks, gone  # noqa: F401  (registers the system checks, and what is told of rows that go)
