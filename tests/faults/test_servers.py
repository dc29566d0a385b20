"""Starting under gunicorn; stopping is in `test_worker`."""

import os
import subprocess

import pytest

from tests.support.gateway import SERVERS
from tests.support.processes import ROOT, free_port


@pytest.mark.parametrize(
    ("settings", "named"), [({"DEBUG": "perhaps"}, "DEBUG is 'perhaps'"), ({"DEBUG": "false"}, "SECRET_KEY is not set")]
)
def test_a_misconfiguration_is_refused_at_start_with_a_sentence(settings: dict[str, str], named: str) -> None:
    environment = {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, "ENV_FILE": os.devnull, **settings}
    started = subprocess.run(
        SERVERS["gunicorn"](free_port()), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert started.returncode == 1
    assert named in started.stderr
    assert "Traceback" not in started.stderr
