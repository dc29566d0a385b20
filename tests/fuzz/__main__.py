"""`python -m tests.fuzz [SECONDS]`: asks every endpoint of real gateways for so long, and says what does not hold.

FUZZ_SEED repeats a run: the requests are the same, one after the other, as far as the time goes. Without it each run has its own.
"""

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.rounds import fuzz

if __name__ == "__main__":
    given = os.environ.get("FUZZ_SEED", "")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory(prefix="gateway-fuzz-") as folder:
        sys.exit(fuzz(seconds, int(given) if given else random.randrange(2**32), Path(folder)))
