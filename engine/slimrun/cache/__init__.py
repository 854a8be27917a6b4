"""What slimrun keeps between runs: complete or absent, never half."""
