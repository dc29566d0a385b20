"""What one would write first: a Django view behind the default middleware, a token in a table, `requests` for the way on.

`python -m bench.speed.obvious TOKEN` makes the table with this one token; `application` is for gunicorn's threads. `BENCH_UPSTREAM` is the
URL that everything goes to, `DATABASE_URL` the path of the SQLite file.
"""

import os
import sys
from typing import ClassVar

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY=os.environ["SECRET_KEY"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE_URL"]}},
    USE_TZ=True,
)
django.setup()

import requests  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


class Token(models.Model):
    key = models.CharField(max_length=100, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)

    objects: ClassVar[models.Manager["Token"]] = models.Manager()

    class Meta:
        app_label = "obvious"

    def __str__(self) -> str:
        return f"a token of {self.user}"


@csrf_exempt
def mcp(request: HttpRequest) -> HttpResponse:
    """One call."""
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        Token.objects.select_related("user").get(key=key, user__is_active=True)
    except Token.DoesNotExist:
        return JsonResponse({"error": "invalid_token"}, status=401)
    passed = {name: request.headers[name] for name in ("Accept", "Content-Type")}
    answer = requests.post(os.environ["BENCH_UPSTREAM"], data=request.body, headers=passed, timeout=60)
    return HttpResponse(answer.content, status=answer.status_code, content_type=answer.headers["Content-Type"])


urlpatterns = [path("mcp", mcp)]
application = get_wsgi_application()

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Token)
    Token.objects.create(key=sys.argv[1], user=User.objects.create_user("bench"))
