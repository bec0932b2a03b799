"""Telling people: what was committed, as short messages by webhook, Telegram and e-mail. Trading waits for none of it."""
