"""What a result means: one file per question."""
