"""Serves everything on this machine only, at `/mcp`."""

import argparse

import uvicorn

from tests.conformance.everything import asking, content, rounds
from tests.conformance.everything.server import Events, server

FURNISHED = (asking, content, rounds)  # by importing them


def main() -> None:
    arguments = argparse.ArgumentParser(description="An MCP server for the conformance suite.")
    arguments.add_argument("--port", type=int, required=True)
    app = server.streamable_http_app(event_store=Events(), retry_interval=100)
    # With httptools, white space at the end of a header's value reaches the SDK, which then finds it differs (RFC 9110 §5.5).
    uvicorn.run(app, host="127.0.0.1", port=arguments.parse_args().port, http="h11", log_level="warning")


if __name__ == "__main__":
    main()
