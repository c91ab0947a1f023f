"""``barestream load``: many streams at once, and what came through them."""
