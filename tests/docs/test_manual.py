"""docs/manual-oauth-testing.md: every command block, in order, as a reader would run it."""

import os
import re
import subprocess
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.flows.visitor import Visitor
from tests.support.gateway import Gateway
from tests.support.processes import ROOT

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_manual_walk_works_as_printed(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    text = (ROOT / "docs" / "manual-oauth-testing.md").read_text()
    script = "set -euo pipefail\n" + "\n".join(BLOCK.findall(text))
    environment = {**os.environ, "ORIGIN": gateway.url}
    with subprocess.Popen(
        ["bash", "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        said = []
        for line in shell.stdout:
            said.append(line)
            if line.startswith("open: "):
                code = parse_qs(urlsplit(Visitor().authorize(line.removeprefix("open: ").strip())).query)["code"][0]
                shell.stdin.write(f"{code}\n")
                shell.stdin.flush()
    output = "".join(said)
    assert shell.returncode == 0, output
    expected = [
        "HTTP/1.1 401",
        "resource_metadata=",
        "the issuer agrees",
        '"client_name": "curl by hand"',
        '"scope": "mcp:tools"',
        '"name":"echo"',
        "asking twice gives the same next refresh token",
        "\n200\n",
        'error="invalid_token"',
        '"redirect_uris"',
        "\n204\n",
        "invalid_token\n",
    ]
    position = 0
    for words in expected:
        position = output.find(words, position)
        assert position >= 0, f"{words!r} is missing from here on:\n{output}"
