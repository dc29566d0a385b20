"""Lists of a million rows: how a page is found and searched without reading the rest.

Knows Django's admin and what databases are quick at; knows nothing of what is listed.
"""

from datetime import datetime, timedelta
from functools import partial, reduce
from itertools import islice
from operator import or_
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import smart_split, unescape_string_literal

if TYPE_CHECKING:
    from oauthgw.admin.readonly import ReadOnlyAdmin

    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

_WORDS = 8  # of a search; each asks every neighbour
_NAMED = 1000  # rows that are handed over by their keys; more are named by a subquery


class LatePages(_Paginator):
    """First which rows stand on the page, by their keys; then these rows, with what is joined for a line.

    Joined first, all rows before the page would be joined with it: the last page of 700,000 tokens took seconds.
    """

    object_list: QuerySet[Any]

    def page(self, number: Any) -> Any:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        keys = list(self.object_list.values_list("pk", flat=True)[first : first + self.per_page])
        return Page(self.object_list.filter(pk__in=keys), number, self)


class CountedList(ChangeList):
    """Has its admin count for the rows on the page (`count`), where an annotation would count for each row there is."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except OverflowError as error:  # a key of more than 64 bits, which SQLite is handed as it is
            raise IncorrectLookupParameters from error
        if self.query:
            self.date_hierarchy = None  # its years and months would each be a search of their own
        vars(self.queryset)["datetimes"] = partial(moments, self.queryset)  # what the date hierarchy asks for
        self.result_list = list(self.result_list)
        cast("ReadOnlyAdmin", self.model_admin).count(self.result_list)


def moments(queryset: QuerySet[Any], field: str, kind: str, *args: Any, **kwargs: Any) -> list[datetime]:
    """The years, months or days of a field, as `QuerySet.datetimes` gives them: by a hop over the index from each to the next.

    Django would truncate every row's date and then drop what is the same.
    """
    dates, found = queryset.order_by(field).values_list(field, flat=True), list[datetime]()
    at = dates.filter(**{f"{field}__isnull": False}).first()
    while at is not None:
        start = timezone.localtime(at).replace(hour=0, minute=0, second=0, microsecond=0)
        start = start.replace(month=1, day=1) if kind == "year" else start.replace(day=1) if kind == "month" else start
        found.append(start)
        after = start + timedelta(days={"year": 366, "month": 31, "day": 1}[kind])  # at least in the next one
        following = after.replace(month=1, day=1) if kind == "year" else after.replace(day=1) if kind == "month" else after
        at = dates.filter(**{f"{field}__gte": following}).first()
    return found


def search(queryset: QuerySet[Any], fields: tuple[str, ...], term: str) -> QuerySet[Any]:
    """The rows in which each word of the term is found, in any of the fields: in part, or as a whole for `=field`.

    What lies behind a relation (`user__email`) is looked up there first, and found here by its keys, which an index knows.
    """
    for word in map(_unquoted, islice(smart_split(term.replace("\x00", "")), _WORDS)):
        queryset = queryset.filter(_found(queryset.model, fields, word))
    return queryset


def _found(model: type[Model], fields: tuple[str, ...], word: str) -> Q:
    own, behind = Q(), dict[str, list[str]]()
    for field in fields:
        relation, is_behind, rest = field.partition("__")
        if is_behind:
            behind.setdefault(relation, []).append(rest)
        else:
            own |= _matches(model, field, word)
    return reduce(or_, (_leads_to(model, relation, names, word) for relation, names in behind.items()), own) or Q(pk__in=())


def _leads_to(model: type[Model], relation: str, names: list[str], word: str) -> Q:
    neighbour: Any = model._meta.get_field(relation).related_model
    there = neighbour._default_manager.filter(_found(neighbour, tuple(names), word)).order_by().values_list("pk", flat=True)
    keys = list(there[: _NAMED + 1])
    return Q(**{f"{relation}__in": keys if len(keys) <= _NAMED else there})


def _matches(model: type[Model], name: str, word: str) -> Q:
    if not name.startswith("="):
        return Q(**{f"{name}__icontains": word})
    field: Any = model._meta.get_field(name[1:])
    if field.get_internal_type().endswith(("IntegerField", "AutoField")):
        word = word.removeprefix("#")
    try:
        return Q(**{name[1:]: field.clean(word, None)})
    except ValidationError:
        return Q(pk__in=())  # not something that could stand there, such as letters for a number


def _unquoted(word: str) -> str:
    return unescape_string_literal(word) if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word
