"""Names of the programs whose checkpoints can be imported."""

SOURCES = ("ibab", "vincentherrmann")
AUTO = "auto"
