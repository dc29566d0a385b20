"""How fast the data plane is: `python -m bench.speed`, everything on loopback, ratios of one run."""
