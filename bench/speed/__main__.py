"""`python -m bench.speed [SECONDS] [--only gateway,bare] [--kinds JSON,SSE] [--rounds N]`: the contenders side by side, as Markdown."""

import argparse
import statistics
import tempfile
from pathlib import Path

from bench.speed.contenders import KINDS, Stage, assembled
from bench.speed.rounds import rounds


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the data plane is, in ratios of one run.")
    parser.add_argument("seconds", type=float, nargs="?", default=20)
    parser.add_argument("--only", default="upstream,bare,gateway,gateway-cold")
    parser.add_argument("--kinds", default="JSON,SSE")
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
        contenders = assembled(stage, told.only.split(","))
        kinds = told.kinds.split(",")
        each = told.seconds / 1.2 / (len(kinds) * told.rounds * len(contenders))
        print(f"{told.rounds} rounds of {each:.1f} s each\n")
        print("| kind | contender | requests/s | p50 ms | p99 ms | CPU ms | load busy | to the bare pass-through |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for kind in kinds:
            measured = rounds(stage, contenders, told.rounds, each, KINDS[kind])
            names = [contender.name for contender in contenders]
            base = measured[names.index("bare")] if "bare" in names else measured[0]
            for name, own in zip(names, measured, strict=True):
                ratio = [one.requests_per_second / other.requests_per_second for one, other in zip(own, base, strict=True)]
                rate, p50, p99, cpu, busy = (
                    statistics.median(getattr(one, what) for one in own)
                    for what in ("requests_per_second", "p50_ms", "p99_ms", "cpu_ms", "busy")
                )
                print(
                    f"| {kind} | {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {cpu:.3f} | {busy:.2f} "
                    f"| {statistics.median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f}) |"
                )


if __name__ == "__main__":
    main()
