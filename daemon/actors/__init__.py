"""Asynchronous actors: users' slow classes beside the engine, which hear bars and answer with signals."""
