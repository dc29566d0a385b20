"""Pages that show and do not edit, and the care every page of ours takes with filters.

Knows Django's admin; knows nothing of what is shown.
"""

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from oauthgw.models.identity import label

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class CarefulAdmin(_ModelAdmin):
    """A page whose address can ask for no more than the page itself offers."""

    view_on_site = False
    linked_by: tuple[str, ...] = ()  # besides list_filter, the fields by which other pages link here

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuses a guessed `?client_secret__startswith=…`, which would read a stored digest letter by letter."""
        return lookup.split("__", maxsplit=1)[0] in self._offered(request) and super().lookup_allowed(lookup, value, request)

    def _offered(self, request: HttpRequest) -> set[str]:
        filters = self.get_list_filter(request)
        return {*self.linked_by, *(str(getattr(entry, "parameter_name", entry)).split("__")[0] for entry in filters)}


class ReadOnlyAdmin(CarefulAdmin):
    """A list and a page to look at. What may be done is an action, open to those who may change the model ("operate")."""

    list_per_page = 100  # an action sends one field a row, and DATA_UPLOAD_MAX_NUMBER_FIELDS is 200
    show_full_result_count = False

    @admin.display(description="user", ordering="user__email")
    def who(self, row: Any) -> str:
        """The user by e-mail; a local account by its name."""
        return label(row.user) if row.user is not None else ""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return tuple(str(name) for name in self.fields or ())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")


def operator(request: HttpRequest) -> AbstractBaseUser:
    """Who is doing this: the admin lets nobody in who is not signed in."""
    return cast("AbstractBaseUser", request.user)
