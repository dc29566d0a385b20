"""What breaks MCP OAuth in the field, and the rule that prevents it: one test a rule, by number, on a running gateway.

The rules come from public issue threads of 2025 and 2026; each test names some. Rule 16, and of rule 15 the connect URL, are about the
gateway's own connections to upstream servers as an OAuth client, which join with those connections. Finer tests of each rule are beside its
code.
"""
