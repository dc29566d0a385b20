"""The operators' pages of the authorization server: Django's admin, configured.

Everything here is looked at, switched off or revoked; only clients are added by hand, and no credential is shown but a client's new secret,
once.
"""

from django.contrib import admin
from django.contrib.auth.models import Group, User

from oauthgw.admin.clients import ClientAdmin
from oauthgw.admin.consents import ConsentAdmin
from oauthgw.admin.events import EventAdmin
from oauthgw.admin.grants import GrantAdmin
from oauthgw.admin.tokens import AccessTokenAdmin, RefreshTokenAdmin
from oauthgw.admin.users import UserAdmin
from oauthgw.journal.models import Event
from oauthgw.models import AccessToken, AuthorizationCode, Client, Consent, Grant, IDToken, RefreshToken

admin.site.site_header = admin.site.site_title = "MCP Gateway"
admin.site.index_title = "Operators"
admin.site.enable_nav_sidebar = False  # the lists need the room, and the way home stands above each

# django-oauth-toolkit registers pages of its own for our models, Django its pages for local accounts and their groups.
admin.site.unregister([Client, AuthorizationCode, AccessToken, RefreshToken, IDToken, User, Group])

admin.site.register(Client, ClientAdmin)
admin.site.register(Consent, ConsentAdmin)
admin.site.register(Grant, GrantAdmin)
admin.site.register(AccessToken, AccessTokenAdmin)
admin.site.register(RefreshToken, RefreshTokenAdmin)
admin.site.register(User, UserAdmin)
admin.site.register(Event, EventAdmin)
