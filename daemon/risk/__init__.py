"""Risk as a user meets it: forecasts held against outcomes, the figures of a run, what is printed of them."""
