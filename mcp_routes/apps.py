from django.apps import AppConfig


class McpRoutesConfig(AppConfig):
    name = "mcp_routes"
    verbose_name = "MCP routes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mcp_routes import checks, removal  # noqa: F401  (registers the system checks, and what a removed route leaves behind)
