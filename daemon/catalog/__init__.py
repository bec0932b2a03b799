"""The catalog: a folder of partitioned Parquet tapes, each with a manifest."""
