"""How fast and exact the fits are, against SciPy on the same problems: ``python -m benchmarks``."""
