"""Names of the programs whose checkpoints can be imported."""

SOURCES = ("ibab", "kan-bayashi", "r9y9", "vincentherrmann")
AUTO = "auto"
