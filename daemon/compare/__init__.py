"""Why paper trading and a backtest on a vendor's bars disagree: the same agents on tapes between the two."""
