"""For operators: the `payouts` command."""
