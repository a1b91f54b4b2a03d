"""What other libraries give, as encoders and detectors of oddlens."""
