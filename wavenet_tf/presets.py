"""Named configurations of `WaveNet`."""

# "medium" is the size that the speed figures are about; "music" is "small" with a context stack
# that hears 4 seconds; "paper" is 30 layers of 512 residual and 256 skip channels, the size of the
# published text-to-speech systems.
PRESETS: dict[str, dict] = {
    "tiny": {
        "num_stacks": 2,
        "layers_per_stack": 8,
        "residual_channels": 32,
        "gate_channels": 32,
        "skip_channels": 64,
        "head_channels": 64,
        "sample_rate": 8000,
    },
    "small": {
        "num_stacks": 2,
        "layers_per_stack": 10,
        "residual_channels": 32,
        "gate_channels": 32,
        "skip_channels": 128,
        "head_channels": 128,
        "sample_rate": 16000,
    },
    "medium": {
        "num_stacks": 3,
        "layers_per_stack": 10,
        "residual_channels": 64,
        "gate_channels": 64,
        "skip_channels": 256,
        "head_channels": 256,
        "sample_rate": 16000,
    },
    "paper": {
        "num_stacks": 3,
        "layers_per_stack": 10,
        "residual_channels": 512,
        "gate_channels": 512,
        "skip_channels": 256,
        "head_channels": 256,
        "sample_rate": 16000,
    },
}
PRESETS["music"] = {
    **PRESETS["small"],
    "context_stacks": [{"pooling": 128, "layers_per_stack": 9, "channels": 32}],
}
