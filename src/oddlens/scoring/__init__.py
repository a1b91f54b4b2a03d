"""What detectors and decisions score with: neighbourhoods, patterns of active nodes, agreement."""
