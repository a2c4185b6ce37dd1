"""Composes a small corpus of melodies, or of music with tags, to train on.

The melodies are random walks over the C major pentatonic scale, or with `--theme_seconds` random
themes in it that return again and again. With `--tagged` the pieces have five instruments, two
tempi and two modes as tags in a manifest. The same flags always give the same files.

Usage:
    python tools/make_demo_data.py --output data/melodies
    python tools/make_demo_data.py --output data/themes --theme_seconds 2
    python tools/make_demo_data.py --output data/music --tagged --num_clips 240
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence

import melodies
import music
import soundfont
from absl import flags

from wavenet_tf import files
from wavenet_tf.errors import InputError

_OUTPUT = command_line.define_path(
    "output", None, "Folder for the WAV files, made if missing.", required=True
)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 48, "Number of WAV files.")
_CLIP_SECONDS = command_line.define_positive("clip_seconds", 5.0, "Length of each file in seconds.")
_SAMPLE_RATE = flags.DEFINE_integer("sample_rate", 8000, "Sample rate in Hz.")
_SEED = command_line.define_seed(0, "Seed of the composer.")
_THEME_SECONDS = command_line.define_positive(
    "theme_seconds", None, "Compose melodies whose theme of so many seconds returns."
)
_TAGGED = flags.DEFINE_bool(
    "tagged",
    False,
    f"Compose music with tags: {', '.join(music.INSTRUMENTS)}; {', '.join(music.TEMPOS)}; "
    f"{', '.join(music.MODES)}.",
)
_SOUNDFONT = command_line.define_path(
    "soundfont",
    None,
    "Play the music with tags with the instruments of this soundfont (.sf2, .sf3), by the package "
    "tinysoundfont.",
)


def main(argv: Sequence[str]) -> None:
    """Writes the corpus named by the flags."""
    command_line.refuse_words(argv)
    if _THEME_SECONDS.value is not None and _TAGGED.value:
        raise InputError("theme_seconds is for melodies without tags")
    if _SOUNDFONT.value is not None and not _TAGGED.value:
        raise InputError("soundfont is for music with tags: see --tagged")
    files.check_writable_folder(_OUTPUT.value)
    if _TAGGED.value:
        played = _SOUNDFONT.value is not None
        play = soundfont.SoundFont(_SOUNDFONT.value).play if played else music.render
        corpus = _NUM_CLIPS.value, _CLIP_SECONDS.value, _SAMPLE_RATE.value, _SEED.value
        paths = music.write_tagged_corpus(_OUTPUT.value, *corpus, play)
        print(f"wrote {len(paths)} pieces and their tags to {_OUTPUT.value}")
        return
    paths = melodies.write_corpus(
        _OUTPUT.value,
        _NUM_CLIPS.value,
        _CLIP_SECONDS.value,
        _SAMPLE_RATE.value,
        _SEED.value,
        _THEME_SECONDS.value,
    )
    seconds = len(paths) * _CLIP_SECONDS.value
    print(f"wrote {len(paths)} melodies, {seconds:g} seconds in all, to {_OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
