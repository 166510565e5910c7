"""What flows: units, formats, and the byte formats they come in. Pure."""
