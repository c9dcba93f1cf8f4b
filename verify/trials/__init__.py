"""Trials: what is measured on one independently seeded network or mask, one subject per file."""
