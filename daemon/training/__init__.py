"""Training: history into tapes, agents into models, models before their judges."""
