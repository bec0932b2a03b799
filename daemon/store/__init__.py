"""What a live session leaves behind: one schema for PostgreSQL and SQLite, written in one transaction a batch."""
