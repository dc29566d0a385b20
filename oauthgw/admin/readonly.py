"""Pages that show and do not edit, and the care every page of ours takes with filters.

Knows Django's admin; knows nothing of what is shown.
"""

from collections.abc import Mapping, Sequence
from re import compile as compiled
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from oauthgw.admin.large import CountedList, LatePages, search
from oauthgw.models.identity import label

_KEY = compiled(r"[0-9]{1,18}")

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class CarefulAdmin(_ModelAdmin):
    """A page whose address can ask for no more than the page itself offers."""

    view_on_site = False
    change_form_template = "admin/page_with_actions.html"
    change_list_template = "admin/list_with_words.html"
    empty_state = ""  # what to do next while there is no row at all: a sentence or two
    page_actions: Mapping[str, str] = {}  # actions that are offered on a row's own page too, and the words of their buttons
    linked_by: tuple[str, ...] = ()  # besides list_filter, the fields by which other pages link here

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuses a guessed `?client_secret__startswith=…`, which would read a stored digest letter by letter."""
        return lookup.split("__", maxsplit=1)[0] in self._offered(request) and super().lookup_allowed(lookup, value, request)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> HttpResponse | None:
        """Refuses chosen rows whose keys are none: Django hands them to the database as they are, and fails."""
        if not all(map(_KEY.fullmatch, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("a chosen row's key is no number")
        return super().response_action(request, queryset, *args, **kwargs)

    def count(self, rows: Sequence[Any]) -> None:
        """Notes at the rows of a page, or at the one that is looked at, what is told of them in numbers."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CountedList]:
        return CountedList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field or None)  # ?_to_field= names no field, and Django would look for it
        if found is not None:
            self.count([found])
        return found

    def unfit(self, row: Any) -> set[str]:
        """The actions that would change nothing about this row as it is."""
        return set()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The row's page, with a button for each action that its list offers and that fits it: most ask first, as there."""
        allowed, row = self.get_actions(request), self.get_object(request, unquote(object_id))
        unfit = self.unfit(row) if row is not None else set()
        context = {"actions": [(name, words) for name, words in self.page_actions.items() if name in allowed and name not in unfit]}
        context = {**context, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "empty_state": self.empty_state})

    def _offered(self, request: HttpRequest) -> set[str]:
        filters = self.get_list_filter(request)
        return {
            *self.linked_by,
            str(self.date_hierarchy),
            *(str(getattr(entry, "parameter_name", entry)).split("__")[0] for entry in filters),
        }


class ReadOnlyAdmin(CarefulAdmin):
    """A list and a page to look at. What may be done is an action, open to those who may change the model ("operate")."""

    list_per_page = 100  # an action sends one field a row, and DATA_UPLOAD_MAX_NUMBER_FIELDS is 200
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would be counted over the whole table
    paginator = LatePages

    @admin.display(description="user", ordering="user__email")
    def who(self, row: Any) -> str:
        """The user by e-mail; a local account by its name."""
        return label(row.user) if row.user is not None else ""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        return search(queryset, tuple(self.get_search_fields(request)), search_term), False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return tuple(flatten_fieldsets(self.fieldsets)) if self.fieldsets else tuple(str(name) for name in self.fields or ())

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
