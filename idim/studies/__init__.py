"""Many sweeps read together."""
