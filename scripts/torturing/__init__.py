"""Writers that `scripts/torture.py` kills: what each writes, and whether what is there afterwards is whole."""
