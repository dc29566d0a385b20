"""Standing consents: what users allowed, and how an operator takes one back."""

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from oauthgw import consent as consents
from oauthgw.admin.confirm import Question, ask, plural
from oauthgw.admin.readonly import ReadOnlyAdmin, operator
from oauthgw.admin.states import ConsentState
from oauthgw.models import Consent


class ConsentAdmin(ReadOnlyAdmin):
    empty_state = "No user has approved an app yet. A consent is kept when somebody approves one on the consent page."
    list_display = ("client", "who", "resource", "given_at", "state")
    list_filter = (ConsentState, "given_at")
    date_hierarchy = "given_at"
    list_select_related = ("client", "user")
    linked_by = ("client", "user")
    search_fields = ("user__email", "user__username", "client__name", "client__client_id", "resource")
    search_help_text = "E-mail, client name or ID, or part of a route's URL"
    actions = ("withdraw",)
    page_actions = {"withdraw": "Withdraw…"}  # noqa: RUF012  (as Django's own options are)
    fields = ("client", "who", "resource", "scope", "shown_hosts", "given_at", "state")

    def unfit(self, row: Consent) -> set[str]:
        return {"withdraw"} if row.withdrawn_at else set()

    @admin.display(description="state", ordering="withdrawn_at")
    def state(self, consent: Consent) -> str:
        return "standing" if consent.withdrawn_at is None else f"withdrawn {consent.withdrawn_at:%Y-%m-%d %H:%M} UTC"

    @admin.action(description="Withdraw selected consents", permissions=["operate"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Consent]) -> HttpResponse | None:
        question = Question(
            title="Withdraw these consents?",
            consequences=(
                "The connections that rest on them end for good, on every device of the user, and so do streams that are open.",
                "When the client connects again, the user is asked again.",
            ),
            button="Withdraw",
        )
        page = ask(self, request, queryset, question)
        if page is not None:
            return page
        with transaction.atomic():
            standing = list(queryset.filter(withdrawn_at=None).select_related("client", "user"))
            ended = sum(consents.withdraw(consent, "An operator withdrew the consent.", operator(request)) for consent in standing)
            for consent in standing:
                self.log_change(request, consent, "Withdrawn.")
        self.message_user(request, f"Withdrew {plural(len(standing), 'consent')}; {plural(ended, 'connection')} ended.")
        return None
