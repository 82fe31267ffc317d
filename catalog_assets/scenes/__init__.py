"""How scenes come about: templates, plates, engines, routing, money, the lock and its certificate."""
