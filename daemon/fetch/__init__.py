"""Fetching history from providers into the catalog. Their client libraries are loaded when they are asked."""

from daemon.fetch.errors import FetchError
from daemon.fetch.fetching import Fetched, fetch
from daemon.fetch.providers import PROVIDERS

__all__ = ["PROVIDERS", "FetchError", "Fetched", "fetch"]
