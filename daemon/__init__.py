"""The shell around the engine: configuration, feeds, storage, commands and reports."""
