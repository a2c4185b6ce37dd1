"""Names of the programs whose checkpoints can be imported."""

SOURCES = ("vincentherrmann",)
AUTO = "auto"
