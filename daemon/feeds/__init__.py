"""Live feeds: what comes from outside, as items for the inbox. Nothing here decides anything about trading."""
