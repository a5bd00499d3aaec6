"""Files made to hurt, and those who watch what they reach."""
