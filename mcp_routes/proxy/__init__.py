"""The data plane: one MCP request from bearer token to upstream answer, in front of Django's request handler.

`app.serve` tells the story; each other module knows one thing of it. Nothing here knows forms, pages or how tokens are issued.
"""
