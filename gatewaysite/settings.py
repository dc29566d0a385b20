"""Django's settings: what is on, and where things are.

The only module that reads the environment. `.env.example` documents each name; `gatewaysite.checks` refuses combinations that would not
be safe; everything else asks `oauthgw.guard.conf.gateway()`.
"""

import contextlib
import os
import secrets
import tempfile
import warnings
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from gatewaysite import logs
from gatewaysite.environment import Environment
from oauthgw.guard.conf import Gateway, WorkOS
from oauthgw.guard.secret import Secret

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

Env.read_env(os.environ.get("ENV_FILE", str(BASE_DIR / ".env")))
_env = Environment()

DEBUG = _env.flag("DEBUG")


def _laptop_secret() -> str:
    """A key made at the first start and kept in `var/`, so that a laptop's sessions outlive a restart. Only under DEBUG."""
    path = VAR_DIR / "secret_key"
    VAR_DIR.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        # Written aside and linked into place, so that a second process that starts now reads a whole key, and the same.
        with tempfile.NamedTemporaryFile("w", dir=VAR_DIR) as file:  # readable by its owner only
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()


# Without DEBUG a missing key is refused by gatewaysite.checks; until then a random one keeps anything from being signed with a known key.
SECRET_KEY_IS_SET = bool(_env.text("SECRET_KEY"))
SECRET_KEY = _env.text("SECRET_KEY") or (_laptop_secret() if DEBUG else secrets.token_urlsafe(50))

ENCRYPTION_KEYS_ARE_SET = bool(_env.words("TOKEN_ENCRYPTION_KEYS"))
_encryption_keys = _env.words("TOKEN_ENCRYPTION_KEYS") or (urlsafe_b64encode(sha256(SECRET_KEY.encode()).digest()).decode(),)

GATEWAY = Gateway(
    debug=DEBUG,
    origin=_env.origin("GATEWAY_ORIGIN"),
    encryption_keys=tuple(Secret(key) for key in _encryption_keys),
    workos=WorkOS(
        client_id=_env.text("WORKOS_CLIENT_ID"),
        client_secret=Secret(_env.text("WORKOS_CLIENT_SECRET")),
        api_base_url=_env.base_url("WORKOS_API_BASE_URL", "https://api.workos.com"),
        webhook_secret=Secret(_env.text("WORKOS_WEBHOOK_SECRET")),
    ),
    sign_in_allow=_env.words("SIGN_IN_ALLOW", ("*",) if DEBUG else ()),
    admins=_env.words("GATEWAY_ADMINS"),
    access_token_ttl=_env.number("ACCESS_TOKEN_TTL_SECONDS", 15 * 60, maximum=8 * 3600),
    refresh_token_ttl=_env.number("REFRESH_TOKEN_TTL_SECONDS", 30 * 24 * 3600),
    grant_max_age_days=_env.number("GRANT_MAX_AGE_DAYS", 90, minimum=0, maximum=36_500),
    session_ttl=_env.number("SESSION_TTL_SECONDS", 8 * 3600),
    refresh_replay=_env.number("REFRESH_REPLAY_SECONDS", 120, minimum=0),
    client_registration=_env.choice("CLIENT_REGISTRATION", "open", "approval", "closed"),
    client_redirect_schemes=tuple(
        scheme.lower()
        for scheme in _env.words(
            "CLIENT_REDIRECT_SCHEMES",
            ("cursor", "vscode", "vscode-insiders", "vscodium", "windsurf", "claude", "zed", "kiro"),
            may_be_empty=True,
        )
    ),
    cimd_allowed_hosts=tuple(host.lower() for host in _env.words("CIMD_ALLOWED_HOSTS")),
    fetch_trusted_hosts=tuple(host.lower() for host in _env.words("FETCH_TRUSTED_HOSTS")),
    unused_client_hours=_env.number("DCR_UNUSED_HOURS", 24, maximum=876_000),
    idle_client_days=_env.number("DCR_IDLE_DAYS", 90, maximum=36_500),
    max_body_bytes=_env.number("MCP_MAX_BODY_BYTES", 4 * 1024 * 1024),
    upstream_timeout=_env.number("MCP_UPSTREAM_TIMEOUT_SECONDS", 120),
    allowed_origins=_env.origins("ALLOWED_ORIGINS"),
    trusted_proxies=_env.networks("TRUSTED_PROXIES"),
    rate_limit_scale=_env.factor("RATE_LIMIT_SCALE", 1.0, maximum=1000),
    public_catalogue=_env.flag("PUBLIC_CATALOGUE"),
)

_origin_host = urlsplit(GATEWAY.origin).hostname or ""
ALLOWED_HOSTS = list(
    _env.words("ALLOWED_HOSTS", (f"[{_origin_host}]" if ":" in _origin_host else _origin_host,) if _origin_host else ())
) or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])

INSTALLED_APPS = [
    "gatewaysite",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "oauth2_provider",
    "oauthgw.journal",
    "oauthgw",
    "mcp_routes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "oauthgw.views.outage.TellOfOutage",
    "oauthgw.views.unreadable.RefuseUnreadable",
    *([] if GATEWAY.origin else ["oauthgw.views.laptop.OneBrowserOrigin"]),
    "oauthgw.identity.visits.NoteVisit",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "gatewaysite.urls"
ASGI_APPLICATION = "gatewaysite.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gatewaysite.context.page",
            ],
        },
    }
]


def _database() -> dict[str, Any]:
    """The database with the options that each kind needs to be correct under load."""
    try:
        config: dict[str, Any] = dict(Env.db_url_config(_env.text("DATABASE_URL") or f"sqlite:///{VAR_DIR / 'gateway.sqlite3'}"))
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured("DATABASE_URL cannot be read: write postgres://USER:PASSWORD@HOST/NAME or sqlite:///PATH.") from error
    if config.get("ENGINE") == "django.db.backends.sqlite3":
        Path(config["NAME"]).parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # a reader of the file could act for its users
        # WAL lets readers pass a writer; IMMEDIATE takes the write lock at BEGIN, so that no transaction fails half-way for it.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif config.get("ENGINE") == "django.db.backends.postgresql":
        # A server that fell silent, and a query that waits for a lock, must give their thread and connection back.
        limits = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "options": "-c statement_timeout=30000"}
        config["OPTIONS"] = {**limits, **config.get("OPTIONS", {}), "pool": {"min_size": 1, "max_size": 20, "timeout": 5}}
    else:
        raise ImproperlyConfigured("DATABASE_URL names a database that is not supported: use PostgreSQL or SQLite.")
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _cache() -> dict[str, Any]:
    url = _env.text("CACHE_URL")
    if not url or url.startswith("locmem:"):
        # More than the default 300: what addresses are counted by must not push out what was fetched.
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured("CACHE_URL cannot be read: write redis://HOST:6379/0, or leave it out on a single node.")
    timeouts = {"socket_connect_timeout": 1, "socket_timeout": 1}
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url, "OPTIONS": timeouts}


CACHES = {"default": _cache()}

# Sessions are rows of our own: django.contrib.sessions, which stores keys in clear, is not installed. `__Host-` ties a cookie to this
# host, path / and TLS; a provider's redirect back needs SameSite=Lax.
SESSION_ENGINE = "oauthgw.identity.session_store"
SESSION_COOKIE_AGE = GATEWAY.session_ttl
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = GATEWAY.secure
SESSION_COOKIE_NAME = "__Host-session" if GATEWAY.secure else "gateway_session"
CSRF_COOKIE_NAME = "__Host-csrf" if GATEWAY.secure else "gateway_csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "oauthgw.views.pages.csrf_failure"
LOGIN_URL = "/oauth/login"

DEFAULT_EXCEPTION_REPORTER_FILTER = "gatewaysite.debug.NothingOfTheRequest"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # no-referrer would make a form's Origin "null", which the CSRF check refuses
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if GATEWAY.secure else 0
# W008: whatever ends TLS redirects plain http; the gateway behind it sees every request as its origin's scheme. W005, W021: whether other
# hosts of the domain speak https only, and for ever, is not this host's to promise.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SECURE_CROSS_ORIGIN_OPENER_POLICY = None  # hosted clients open the sign-in in a pop-up and watch it close
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],  # the Django admin's own files
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # no form, token request or registration here is larger
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "oauthgw.identity.backends.Impersonated",
    "oauthgw.identity.backends.Demo",
]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}}]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "oauthgw.clients.hasher.SealedDigestHasher",
]

# django-oauth-toolkit. Every model is swapped, every gate of RFC 9700 is on.
OAUTH2_PROVIDER_APPLICATION_MODEL = "oauthgw.Client"
OAUTH2_PROVIDER_GRANT_MODEL = "oauthgw.AuthorizationCode"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "oauthgw.AccessToken"  # noqa: S105
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "oauthgw.RefreshToken"  # noqa: S105
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "oauthgw.IDToken"  # noqa: S105
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "oauthgw.DeviceGrant"
OAUTH2_PROVIDER = {
    "OAUTH2_SERVER_CLASS": "oauthlib.oauth2.WebApplicationServer",  # the code grant and refreshing; no password, implicit or other grant
    "OAUTH2_BACKEND_CLASS": "oauthgw.core.KnownParameters",
    "OAUTH2_VALIDATOR_CLASS": "oauthgw.validator.Validator",
    "SCOPES": {"mcp:tools": "Use the tools, resources and prompts of this MCP server", "offline_access": "Stay connected"},
    "DEFAULT_SCOPES": ["mcp:tools"],
    "PKCE_REQUIRED": True,
    "ACCESS_TOKEN_EXPIRE_SECONDS": GATEWAY.access_token_ttl,
    "REFRESH_TOKEN_EXPIRE_SECONDS": GATEWAY.refresh_token_ttl,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "CLIENT_SECRET_HASHER": "sealed_digest",
    "CIMD_ENABLED": False,  # the library's resolver stays out of the way of oauthgw.clients.documents
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],  # a client's own are decided by Client.get_allowed_schemes
    "RESOURCE_SERVER_TOKEN_RESOURCE_VALIDATOR": "oauthgw.resources.same_resource_only",
    **{
        f"COMPLIANT_BCP_RFC9700_{gate}": True
        for gate in (
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "ACCESS_TOKEN_TRANSPORT",
            "AUTHZ_RESPONSE_ISS",
            "TOKEN_STORAGE",
            "REFRESH_TOKEN",
            "REDIRECT_URI_SCHEME",
            "REDIRECT_URI_MATCHING",
            "PKCE_REQUIRED",
        )
    },
}
RESOURCE_BACKEND = "mcp_routes.resources.RouteResources"

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # no collectstatic step: the few files are served from where they are
WHITENOISE_AUTOREFRESH = DEBUG
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")  # static files are small

LOGGING = logs.config()
