"""The drill: faults and breaches put before the gate of a configuration, to see that it fails closed."""
