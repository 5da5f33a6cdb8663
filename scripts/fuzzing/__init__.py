"""Fuzzing of all that reads files: `targets/` has one function for each reader, `campaign.py` runs them."""
