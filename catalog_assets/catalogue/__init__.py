"""What a SKU is: rows, names, photos, brand and scene files, and the snapshot stages work from."""
