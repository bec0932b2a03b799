"""Controls: markets whose best policy is known, so that what an agent has learned can be measured against it."""
