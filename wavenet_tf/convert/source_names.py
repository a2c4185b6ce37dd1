"""Names of the programs whose checkpoints can be imported."""

SOURCES = ("ibab", "kan-bayashi", "vincentherrmann")
AUTO = "auto"
