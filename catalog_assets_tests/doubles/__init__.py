"""Loopback servers in the vendors' place: strict about requests, exact about money, cruel on demand."""
