"""Papertape's engine: ticks in, orders through the gate, fills and an exact ledger out. numpy and numba only."""
