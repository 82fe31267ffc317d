"""Quality control: pure measures of a picture against its cutout, rules, verdicts. Start at ``check.py``."""
