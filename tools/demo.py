"""The whole way in one command: recordings, training, audio, and a picture of both.

Without recordings it composes its own: melodies of a plucked string.

    python tools/demo.py --output_dir demo
    python tools/demo.py --output_dir demo --data_dir my_recordings
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from pathlib import Path

import melodies
from absl import flags

import wavenet_tf as wt
from wavenet_tf import audio, data, files, reports, runs

_OUTPUT_DIR = command_line.define_path("output_dir", "demo", "Where everything goes.")
_DATA_DIR = command_line.define_path("data_dir", None, "Folder of recordings in place of melodies.")
_STEPS = flags.DEFINE_integer("steps", 500, "Steps to train.", 1)
_SECONDS = command_line.define_positive("seconds", 5.0, "To generate, in seconds.")
_CLIPS = flags.DEFINE_integer("clips", 48, "Melodies to compose, of 5 seconds each.", 1)

SAMPLE_RATE = 8000
CLIP_SECONDS = 5.0
SEED = 0
# High, for so few steps; gradients are clipped.
LEARNING_RATE = 8e-3
# A little below 1: so short a training leaves some probability on noise.
TEMPERATURE = 0.9


def main(argv):
    """Makes the demo."""
    command_line.refuse_words(argv)
    command_line.check_exists("folder of recordings", _DATA_DIR.value)
    files.check_writable_folder(_OUTPUT_DIR.value)
    own_recordings = _DATA_DIR.value is not None
    output_dir = Path(_OUTPUT_DIR.value)
    data_dir = Path(_DATA_DIR.value) if own_recordings else output_dir / "melodies"
    output_dir = output_dir / (f"{data_dir.resolve().name}_model" if own_recordings else "model")
    if not own_recordings:
        clips = melodies.write_corpus(data_dir, _CLIPS.value, CLIP_SECONDS, SAMPLE_RATE, SEED)
        print(f"composed {len(clips)} melodies of {CLIP_SECONDS:g} s in {data_dir}")

    recordings = data.read_recordings(data_dir, SAMPLE_RATE)
    settings = runs.Settings.from_run(
        output_dir,
        data_dir=str(data_dir),
        preset="tiny",
        overrides={"sample_rate": SAMPLE_RATE},
        speakers="corpus" if recordings.speaker_names else None,
        steps=_STEPS.value,
        learning_rate=LEARNING_RATE,
        steps_per_validation=100,
    )
    model = runs.train(settings, output_dir)
    _, held_out = recordings.split(settings.validation_fraction, model.receptive_field)
    held_out = held_out.select(range(min(len(held_out.names), 16)))
    speaker = int(held_out.speaker_ids[0]) if model.config.num_speakers else None
    as_speaker = "" if speaker is None else f" as {model.config.speaker_names[speaker]}"
    bits = wt.evaluation.score(model, held_out).bits_per_sample

    generated_path, picture_path = output_dir / "generated.wav", output_dir / "picture.png"
    generated = model.generate(
        round(_SECONDS.value * SAMPLE_RATE),
        speaker_id=speaker,
        temperature=TEMPERATURE,
        seed=SEED,
        progress=True,
    )[0]
    audio.write_audio(generated_path, generated, SAMPLE_RATE)
    reports.draw_recordings(
        [
            (f"recorded: {held_out.names[0]}", held_out.waveform(0)[: len(generated)], SAMPLE_RATE),
            (f"generated{as_speaker} after {settings.steps} steps", generated, SAMPLE_RATE),
        ],
        picture_path,
    )
    print(f"recordings  {data_dir}")
    print(f"model       {output_dir / runs.FINAL_MODEL}")
    print(f"audio       {generated_path}")
    print(f"picture     {picture_path}")
    print(f"bits/sample {bits:.3f} on held-out recordings (8 is uniform guessing)")
    if not own_recordings:
        print(f"notes       {melodies.analyse_notes(generated, SAMPLE_RATE).summary}")


if __name__ == "__main__":
    command_line.run(main)
