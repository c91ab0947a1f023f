"""``barestream load``: opens many streams at once, and reports what they received."""
