"""Training environments on the engine: the same broker, ledger and features, with the actions given from outside."""
