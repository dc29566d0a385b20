"""`python -m bench.speed [SECONDS]`: requests a second of each contender and their ratios to the bare pass-through, as Markdown.

Contenders take turns in short rounds, and the median round counts: on a shared machine only ratios of one run mean something.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.speed.parts import ASKING, ROOT, Contender, contenders, pinned

CONNECTIONS, ROUNDS = 32, 3
KINDS = {"JSON": "application/json, text/event-stream", "SSE": "text/event-stream"}


def measured(contender: Contender, seconds: float, accept: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.speed.load", contender.url, str(seconds), str(CONNECTIONS), contender.token, accept]
    done = subprocess.run(pinned(ASKING, command), cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    return dict(json.loads(done.stdout))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    each = seconds / (ROUNDS * len(KINDS) * 3)
    print(f"# The data plane: one worker, {CONNECTIONS} connections, {ROUNDS} rounds of {each:.1f} s each\n")
    print("| kind | contender | requests/s | p50 ms | p99 ms | to the bare pass-through |\n| --- | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, contenders(Path(folder)) as running:
        for kind, accept in KINDS.items():
            rounds = [[measured(contender, each, accept) for contender in running] for _ in range(ROUNDS)]
            for place, contender in enumerate(running):
                own = [turn[place] for turn in rounds]
                if sum(turn["failed"] for turn in own):
                    raise SystemExit(f"{contender.name}: {own}")
                ratio = statistics.median(turn[place]["requests_per_second"] / turn[1]["requests_per_second"] for turn in rounds)
                figures = [statistics.median(turn[name] for turn in own) for name in ("requests_per_second", "p50_ms", "p99_ms")]
                print(f"| {kind} | {contender.name} | {figures[0]:.0f} | {figures[1]:.1f} | {figures[2]:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
