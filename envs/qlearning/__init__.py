"""Tabular Q-learning: quantile bins, schedules, the compiled update, and the trainer around it."""
