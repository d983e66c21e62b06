"""Training: one run, or a stack of them; it knows no disk and no terminal."""
