"""Whether a paper session can run here: each thing that it needs is looked at before it starts."""
