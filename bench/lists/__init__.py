"""How long the operators' lists take when the gateway has been in use for years."""
