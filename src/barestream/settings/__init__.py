"""Every setting: name, type, default, unit, help."""
