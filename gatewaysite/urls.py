"""Every address of the site. `/mcp/{slug}` itself is served by the data plane, in front of Django."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from gatewaysite import health
from mcp_routes.views.account import account
from mcp_routes.views.landing import landing

handler400 = "oauthgw.views.pages.bad_request"
handler403 = "oauthgw.views.pages.forbidden"
handler404 = "oauthgw.views.pages.not_found"
handler500 = "oauthgw.views.pages.failed"

urlpatterns = [
    path("", landing, name="landing"),
    re_path(r"^account/?$", account, name="account"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin/logout/", RedirectView.as_view(url="/oauth/logout")),  # one way out, which ends the session at the provider too
    path("admin/", admin.site.urls),
    path("", include("oauthgw.urls")),
]
