"""From files of market data to the columns that the engine takes."""
