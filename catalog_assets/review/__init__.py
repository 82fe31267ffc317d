"""For the people who look: pictures by address, and approvals."""
