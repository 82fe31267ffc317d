"""Where bytes lie: the store, fingerprints, and the record of what each stage did."""
