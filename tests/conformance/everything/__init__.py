"""An MCP server with everything that the conformance suite asks for by name, in both eras. `python -m tests.conformance.everything`.

The suite's own is not on npm. What the names must do stands in the descriptions of the suite's scenarios.
"""
