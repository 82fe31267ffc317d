"""Pictures in, pictures out: arrays and values only, no I/O and no Dagster."""
