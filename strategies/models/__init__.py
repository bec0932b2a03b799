"""Trained models as folders: stored by content, listed, promoted, loaded by `name@version`, and imported.

Nothing here needs the library that a model was trained with.
"""

from strategies.models.card import Actions, Card, Metrics, Size
from strategies.models.fits import check_fits
from strategies.models.registry import LoadedModel, Registry

__all__ = ["Actions", "Card", "LoadedModel", "Metrics", "Registry", "Size", "check_fits"]
