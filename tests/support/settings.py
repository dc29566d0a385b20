"""The gateway's settings for tests without a network: a laptop's, over a database of their own.

SQLite, or PostgreSQL with TEST_DATABASE=postgresql. A developer's `.env` and exported settings play no part.
"""

import os
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.support import databases, environment

_folder = tempfile.TemporaryDirectory(prefix="gateway-tests-")  # goes with the process
_name = f"gateway_test_{secrets.token_hex(4)}"
_url = f"sqlite:///{_folder.name}/unused.sqlite3" if databases.KIND == "sqlite" else databases.server_url()

# For this process and for those it starts, which are to run on the product's own settings.
_mine = environment.clean(DEBUG="true", DATABASE_URL=_url)
for _setting in environment.setting_names() - _mine.keys():
    os.environ.pop(_setting, None)
os.environ.update(_mine)

from gatewaysite.settings import *  # noqa: E402, F403
from gatewaysite.settings import DATABASES, GATEWAY  # noqa: E402

# A file rather than SQLite's shared memory, whose table locks no busy timeout waits for.
DATABASES["default"]["TEST"] = {"NAME": str(Path(_folder.name) / f"{_name}.sqlite3") if databases.KIND == "sqlite" else _name}

# All tests of this process come from one address within minutes; those of the limits set a scale of their own.
GATEWAY = replace(GATEWAY, rate_limit_scale=1000)
