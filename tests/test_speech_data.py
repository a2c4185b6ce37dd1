"""The corpus of synthetic speech: sentences, alignments against the audio, errors of espeak-ng."""

import filecmp
import itertools
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import sentences
import speech_corpus
from conftest import ROOT, run_program

import wavenet_tf as wt
from wavenet_tf import data, worker_processes
from wavenet_tf.data.alignments import SILENCE, with_alignments
from wavenet_tf.data.manifest import read_manifest
from wavenet_tf.errors import InputError
from wavenet_tf.text import espeak_alignment, format_phones, front_ends
from wavenet_tf.text.espeak import PHONE, WORD, Event

VOICES = ("en-us+f1", "en-us+m3:pitch=40:rate=150")
RATE = 16000
# Vowels and consonants of American English in the IPA of espeak-ng.
PHONES = {
    *("aɪ", "aʊ", "eɪ", "i", "iː", "oʊ", "uː", "æ", "ɐ", "ɑː", "ɑːɹ", "ɔ", "ɔɪ", "ɔː", "ɔːɹ", "ə"),
    *("əl", "ɚ", "ɛ", "ɛɹ", "ɜː", "ɪ", "ɪɹ", "ʊ", "ʊɹ", "ʌ", "ᵻ"),
    *("b", "d", "dʒ", "f", "h", "j", "k", "l", "m", "n", "p", "s", "t", "tʃ", "v", "w", "z"),
    *("ð", "ŋ", "ɡ", "ɹ", "ɾ", "ʃ", "ʒ", "θ"),
}


def first_sentences(kind: str, number: int, seed: int = 0) -> list[str]:
    return list(itertools.islice(sentences.draw_sentences(kind, seed), number))


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


# Sentences.


def test_sentences_differ_and_follow_from_the_seed():
    texts = first_sentences("sentences", 3000)
    assert len(set(texts)) == 3000
    assert texts == first_sentences("sentences", 3000)
    assert len(set(texts) & set(first_sentences("sentences", 3000, seed=1))) < 30
    assert len({word for text in texts for word in words_of(text)}) > 1000


def test_sentences_are_spelled_out_and_have_the_right_articles():
    for text in first_sentences("sentences", 3000):
        assert re.fullmatch(r"[A-Z][A-Za-z ,]+[.?!]", text), text
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text), text
        assert 3 <= len(words_of(text)) <= 20, text


def test_every_expansion_of_the_grammar_is_used():
    used = {
        symbol
        for expansions in sentences.SENTENCES.values()
        for expansion in expansions
        for symbol in re.findall(r"\{(\w+)\}", expansion)
    }
    assert used | {"sentence"} == set(sentences.SENTENCES)
    for symbol, expansions in sentences.SENTENCES.items():
        assert len(set(expansions)) == len(expansions) or symbol == "someone", symbol


def test_digits_are_balanced_and_their_strings_differ():
    digits = first_sentences("digits", 200)
    assert all(digits.count(digit) == 20 for digit in sentences.DIGITS)
    assert sorted(digits[:10]) == sorted(sentences.DIGITS)
    strings = first_sentences("digit_strings", 1000)
    assert len(set(strings)) == 1000
    assert {len(string.split()) for string in strings} == set(range(2, 8))
    assert {word for string in strings for word in string.split()} == set(sentences.DIGITS)


def test_a_grammar_without_more_sentences_is_an_error(monkeypatch):
    monkeypatch.setattr(sentences, "SENTENCES", {"sentence": ["hello {name}"], "name": ["a", "b"]})
    drawn = sentences.draw_sentences("sentences", 0)
    assert {next(drawn), next(drawn)} == {"Hello a", "Hello b"}
    with pytest.raises(InputError, match="too few different texts: 2"):
        next(drawn)
    with pytest.raises(InputError, match=r"kind must be one of .*; received 'poems'"):
        next(sentences.draw_sentences("poems", 0))


# Alignments, from events as espeak-ng reports them, at 1000 Hz.


def phones_of(audio, events, text="one two", rate=1000):
    speech = espeak_alignment.align(text, np.array(audio, np.int16), events, rate, rate)
    assert len(speech.audio) == round(speech.seconds * rate)
    return {
        kind: [(round(start * rate), round(end * rate), label) for start, end, label in segments]
        for kind, segments in speech.alignment.items()
    }


def test_silence_before_a_phone_is_its_closure():
    audio = [0] * 10 + [9] * 20 + [0] * 5 + [9] * 15 + [0] * 8 + [9] * 12 + [0] * 30
    events = [
        *(Event(WORD, 0, 0), Event(PHONE, 10, 0, "ˈa"), Event(PHONE, 35, 0, "p")),
        *(Event(WORD, 50, 4), Event(PHONE, 58, 4, "t"), Event(PHONE, 70, 0, "")),
    ]
    assert phones_of(audio, events) == {
        "phones": [(0, 30, "a"), (30, 50, "p"), (50, 70, "t"), (70, 100, SILENCE)],
        "stress": [(0, 30, "1"), (30, 50, "-"), (50, 70, "-"), (70, 100, SILENCE)],
        "words": [(0, 50, "one"), (50, 70, "two"), (70, 100, SILENCE)],
    }


def test_a_nasal_before_the_vowel_of_the_next_word_is_kept():
    events = [
        *(Event(WORD, 0, 0), Event(PHONE, 0, 0, "ə"), Event(PHONE, 30, 0, "n")),
        *(Event(WORD, 30, 4), Event(PHONE, 60, 4, "ˌa")),
    ]
    found = phones_of([9] * 100, events)
    assert found["phones"] == [(0, 30, "ə"), (30, 60, "n"), (60, 100, "a")]
    assert found["stress"] == [(0, 30, "0"), (30, 60, "-"), (60, 100, "2")]
    assert found["words"] == [(0, 60, "one"), (60, 100, "two")]


@pytest.mark.parametrize("closure", [0, 20])
def test_a_merged_l_takes_the_end_of_the_vowel(closure):
    audio = [9] * 200 + [0] * closure + [9] * 50
    events = [
        *(Event(WORD, 0, 0), Event(PHONE, 0, 0, "ˈi"), Event(PHONE, 200, 0, "l")),
        Event(PHONE, 200 + closure, 0, "d"),
    ]
    expected = [(0, 135, "i"), (135, 200, "l"), (200, 250 + closure, "d")]
    assert phones_of(audio, events, "one")["phones"] == expected
    events[2:] = [Event(PHONE, 80, 0, "l"), Event(PHONE, 80, 0, "d")]  # at most half of the vowel
    expected = [(0, 40, "i"), (40, 80, "l"), (80, 250 + closure, "d")]
    assert phones_of(audio, events, "one")["phones"] == expected


def test_a_glide_is_no_pause_and_pauses_are_joined():
    audio = [9] * 100 + [0] * 100 + [9] * 50
    events = [
        *(Event(WORD, 0, 0), Event(PHONE, 0, 0, "iː"), Event(PHONE, 50, 0, "")),
        *(Event(PHONE, 70, 0, "oʊ"), Event(PHONE, 100, 0, ""), Event(PHONE, 160, 0, "")),
        *(Event(WORD, 200, 4), Event(PHONE, 200, 4, "s")),
    ]
    found = phones_of(audio, events)
    assert found["phones"] == [(0, 70, "iː"), (70, 100, "oʊ"), (100, 200, SILENCE), (200, 250, "s")]
    assert found["words"] == [(0, 100, "one"), (100, 200, SILENCE), (200, 250, "two")]


def test_words_that_are_spoken_as_one_are_one_segment():
    events = [
        Event(WORD, 0, 0),
        Event(PHONE, 0, 0, "ə"),
        Event(WORD, 50, 10),
        Event(PHONE, 50, 10, "b"),
    ]
    words = phones_of([9] * 100, events, "“Of the - bird's”!")["words"]
    assert words == [(0, 50, "of the"), (50, 100, "bird's")]
    # A number is several words in one position.
    events[2] = Event(WORD, 50, 1)
    assert phones_of([9] * 100, events, "24.")["words"] == [(0, 100, "24")]


def test_times_are_scaled_and_a_long_pause_at_the_end_is_cut():
    tone = (9000 * np.sin(np.arange(22050) / 10)).astype(np.int16)
    events = [Event(WORD, 0, 0), Event(PHONE, 0, 0, "a"), Event(PHONE, 22050, 0, "")]
    audio = np.concatenate([tone, np.zeros(22050, np.int16)])
    speech = espeak_alignment.align("ah", audio, events, 22050, RATE)
    assert speech.alignment["phones"] == [(0.0, 1.0, "a"), (1.0, 1.2, SILENCE)]
    assert len(speech.audio) == 1.2 * RATE and speech.seconds == 1.2
    with pytest.raises(InputError, match=r"nothing to speak in the text '\.\.\.'"):
        espeak_alignment.align("...", audio[22050:], [Event(PHONE, 0, 0, "")], 22050, RATE)


def test_resampled_audio_is_not_clipped():
    square = np.where(np.arange(2205) // 50 % 2, 32767, -32768).astype(np.int16)
    speech = espeak_alignment.align("a", square, [Event(PHONE, 0, 0, "a")], 22050, RATE)
    assert np.max(np.abs(speech.audio)) <= 32767 / 32768


# Voices.


def test_voices_are_parsed():
    assert speech_corpus.Voice.parse("en-us+f2:rate=150:pitch=60") == speech_corpus.Voice(
        "en-us+f2", pitch=60, rate=150
    )
    for text in (
        "",
        "en:pitch",
        "en:pitch=-1",
        "en:pitch=100",
        "en:rate=79",
        "en:rate=1e2",
        "en:x=1",
    ):
        with pytest.raises(InputError, match=f"voices must .*; received {re.escape(repr(text))}"):
            speech_corpus.Voice.parse(text)


def test_the_default_voices_differ():
    voices = [speech_corpus.Voice.parse(voice) for voice in speech_corpus.DEFAULT_VOICES]
    assert len({voice.name for voice in voices}) == len(voices) == 10


# Worker processes.


def test_calls_run_in_new_processes():
    results = dict(worker_processes.map_in_new_processes(os.getpid, {"a": (), "b": (), "c": ()}, 2))
    assert set(results) == {"a", "b", "c"}
    assert len({os.getpid(), *results.values()}) == 4


@pytest.mark.parametrize(
    "function, argument, code",
    [(os._exit, 3, 3), (signal.raise_signal, signal.SIGSEGV, -signal.SIGSEGV)],
)
def test_a_crash_of_a_worker_is_an_error(function, argument, code):
    with pytest.raises(InputError, match=f"^a: the worker process ended with exit code {code}$"):
        list(worker_processes.map_in_new_processes(function, {"a": (argument,)}))


def test_an_exception_in_a_worker_is_raised_and_ends_the_others():
    calls = worker_processes.map_in_new_processes(
        time.sleep, {"wrong": ("long",), "long": (600,)}, workers=2
    )
    with pytest.raises(TypeError):
        list(calls)


# The program, with espeak-ng.


def make_corpus(output, *flags):
    return run_program(
        "make_speech_data.py", f"--output={output}", f"--voices={','.join(VOICES)}", *flags
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus of 60 sentences of two voices."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("speech") / "corpus"
    ran = make_corpus(folder, "--sentences=30")
    assert ran.returncode == 0, ran.stderr
    assert "en-us_f1: 30 recordings\n" in ran.stdout
    assert re.search(r"wrote 60 recordings, \d\.\d minutes in all, to ", ran.stdout)
    return folder


def relative_files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_the_same_flags_give_the_same_files_with_any_number_of_workers(corpus, tmp_path):
    assert make_corpus(tmp_path / "again", "--sentences=30", "--workers=1").returncode == 0
    names = relative_files(corpus)
    assert len(names) == 60 * 2 + 1 and names == relative_files(tmp_path / "again")
    _, different, missing = filecmp.cmpfiles(corpus, tmp_path / "again", names, shallow=False)
    assert not different and not missing
    # The first sentences do not depend on how many follow.
    assert make_corpus(tmp_path / "fewer", "--sentences=3").returncode == 0
    names = relative_files(tmp_path / "fewer")
    names.remove(speech_corpus.MANIFEST)
    assert filecmp.cmpfiles(corpus, tmp_path / "fewer", names, shallow=False)[0] == names
    assert make_corpus(tmp_path / "other", "--sentences=3", "--seed=1").returncode == 0
    assert not filecmp.cmpfiles(corpus, tmp_path / "other", names, shallow=False)[0]


@pytest.mark.slow
def test_every_sentence_is_different_and_of_usual_length(corpus):
    recordings = data.read_recordings(corpus, RATE)
    texts = [clip.text for clip in recordings.metadata]
    assert len(set(texts)) == 60
    assert set(texts) == set(first_sentences("sentences", 60))
    seconds = recordings.lengths / RATE
    assert 2.0 < np.median(seconds) < 4.0 and np.all((seconds > 1.0) & (seconds < 7.0))
    assert {clip.speaker for clip in recordings.metadata} == {"en-us_f1", "en-us_m3"}


@pytest.mark.slow
def test_alignments_in_textgrids_and_manifest_are_equal(corpus):
    recordings = data.read_recordings(corpus, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = with_alignments(recordings, "*.TextGrid")
    for listed, clip in zip(recordings.metadata, read.metadata, strict=True):
        assert listed.alignment == clip.alignment and set(clip.alignment) == {
            *("phones", "stress", "words")
        }


@pytest.mark.slow
def test_segments_cover_the_audio_and_spell_the_text(corpus):
    recordings = data.read_recordings(corpus, RATE)
    for clip, length in zip(recordings.metadata, recordings.lengths, strict=True):
        phones, stress, words = (clip.alignment[kind] for kind in ("phones", "stress", "words"))
        for segments in (phones, stress, words):
            times = [0.0, *(end for _, end, _ in segments)]
            assert [start for start, _, _ in segments] == times[:-1], clip.path
            assert times[-1] == length / RATE and np.all(np.diff(times) > 0), clip.path
        assert [segment[:2] for segment in phones] == [segment[:2] for segment in stress]
        boundaries = {end for _, end, _ in phones}
        assert {end for _, end, _ in words} <= boundaries
        spoken = [label for _, _, label in words if label != SILENCE]
        assert spoken == words_of(clip.text)
        for start, end, label in words:  # a pause is a pause for phones and words
            assert ((start, end, SILENCE) in phones) == (label == SILENCE)
        assert {label for _, _, label in stress} <= {"0", "1", "2", "-", SILENCE}
        assert "1" in {label for _, _, label in stress}


@pytest.mark.slow
def test_the_phones_are_those_of_english(corpus):
    labels = [
        label
        for clip in read_manifest(corpus / speech_corpus.MANIFEST)
        for _, _, label in clip.alignment["phones"]
    ]
    assert set(labels) >= PHONES | {SILENCE}
    assert len(set(labels)) < 65


def energy_above(frequency, segment):
    """Returns the part of the energy of a segment's middle that is above a frequency."""
    middle = segment[len(segment) // 4 : -len(segment) // 4]
    power = np.square(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))))
    return power[np.fft.rfftfreq(len(middle), 1 / RATE) > frequency].sum() / power.sum()


@pytest.mark.slow
def test_times_agree_with_the_audio(corpus):
    segments = {}
    for clip in read_manifest(corpus / speech_corpus.MANIFEST):
        audio, _ = wt.read_audio(corpus / clip.path)
        phones = clip.alignment["phones"]
        for start, end, label in phones:
            segments.setdefault(label, []).append(audio[round(start * RATE) : round(end * RATE)])
        # Where a tenth of a second is silent, there is a pause.
        quiet = np.convolve(np.abs(audio) > 1e-3, np.ones(RATE // 10), mode="valid") == 0
        for center in np.flatnonzero(quiet) / RATE + 0.05:
            assert any(start <= center <= end for start, end, label in phones if label == SILENCE)
    level = {
        label: [np.sqrt(np.mean(np.square(segment))) for segment in found]
        for label, found in segments.items()
    }
    assert max(level[SILENCE]) < 2e-3
    for vowel in ("æ", "ɛ", "oʊ", "aɪ"):
        assert min(level[vowel]) > 0.04
        assert max(energy_above(3000, segment) for segment in segments[vowel]) < 0.4
    for nasal in ("m", "n"):
        assert min(level[nasal]) > 0.02
        assert max(energy_above(3000, segment) for segment in segments[nasal]) < 0.25
    for fricative in ("s", "tʃ"):
        assert min(energy_above(3000, segment) for segment in segments[fricative]) > 0.5


@pytest.mark.slow
@pytest.mark.once
def test_a_recognizer_trains_on_the_corpus(corpus, tmp_path):
    flags = ["--alignments=*.TextGrid", "--speakers=corpus", "--task=recognize", "--preset=tiny"]
    flags += ["--steps=1", "--batch_size=1", "--crop_seconds=0.2", "--set=layers_per_stack=2"]
    ran = run_program("train.py", f"--data_dir={corpus}", f"--model_dir={tmp_path}", *flags)
    assert ran.returncode == 0, ran.stderr
    assert "60 recordings" in ran.stdout and "classes of frames: aɪ, aɪ" in ran.stdout


def test_phones_of_texts_are_those_that_are_spoken(corpus):
    for clip in itertools.islice(read_manifest(corpus / speech_corpus.MANIFEST), 10):
        words = [label for *_, label in clip.alignment["words"] if label != SILENCE]
        phones = [label for *_, label in clip.alignment["phones"] if label != SILENCE]
        assert [word.text for word in data.text_words("espeak", clip.text)] == words
        recordings = data.Recordings(Path(), ["1.wav"], [], np.array([RATE]), RATE, metadata=[clip])
        assert data.sequence_labels("espeak", recordings, 0) == phones


def test_espeak_speaks_other_languages_and_refuses_unknown_ones():
    pytest.importorskip("espeakng_loader")
    words = data.text_words("espeak:de", "Ja, ich bin hier.")
    assert format_phones(words[0].phones) == "j ɑː1"
    with pytest.raises(InputError, match="received 'xx-yy'"):
        data.text_words("espeak:xx-yy", "Ja.")


def test_a_crash_of_espeak_while_it_looks_phones_up_is_an_error():
    pytest.importorskip("espeakng_loader")
    message = "espeak-ng: the worker process ended with exit code 3"
    with pytest.raises(InputError, match=message):
        front_ends._ESPEAK.call(os._exit, 3)
    assert data.text_words("espeak", "Hi.")[0].text == "hi"


@pytest.mark.slow
def test_a_text_file_and_digits_are_spoken(tmp_path):
    pytest.importorskip("espeakng_loader")
    text = tmp_path / "text.txt"
    text.write_text(
        "Hello, world!\n\n Hello, world! \nIt costs $24, in the end.\n", encoding="utf-8"
    )
    assert make_corpus(tmp_path / "text", "--sentences=1", f"--text={text}").returncode == 0
    hello, cost = read_manifest(tmp_path / "text" / speech_corpus.MANIFEST)
    assert (hello.text, cost.text) == ("Hello, world!", "It costs $24, in the end.")
    words = [label for _, _, label in cost.alignment["words"] if label != SILENCE]
    assert words == ["it", "costs", "24", "in", "the", "end"]
    assert make_corpus(tmp_path / "digits", "--sentences=5", "--kind=digits").returncode == 0
    clips = read_manifest(tmp_path / "digits" / speech_corpus.MANIFEST)
    assert sorted(clip.text for clip in clips) == sorted(sentences.DIGITS)
    for clip in clips:  # named as in the Free Spoken Digit Dataset
        digit, speaker, _ = re.fullmatch(r"(\d)_(.*)_(\d+)", Path(clip.path).stem).groups()
        assert (sentences.DIGITS[int(digit)], speaker) == (clip.text, clip.speaker)


def test_all_english_voices_exist_and_differ():
    pytest.importorskip("espeakng_loader")
    voices = speech_corpus.english_voices(len(speech_corpus.VARIANTS))
    assert len({str(voice) for voice in voices}) == len(speech_corpus.VARIANTS) == 50
    check = speech_corpus._check_voices
    list(worker_processes.map_in_new_processes(check, {"voices": (voices,)}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags, message",
    [
        (["--voices=en-us+f1,en-us+nobody"], "received 'en-us+nobody'"),
        (["--voices=51"], "voices must be a number from 1 to 50 or names; received 51"),
        (["--voices=xx-yy+f1"], "such as en, en-us+f2 or de+m3; received 'xx-yy+f1'"),
        (["--text=text.txt", "--sentences=2"], "need 4 different lines; text.txt has 2"),
        (["--text=text.txt", "--sentences=1"], "nothing to speak in the text '...'"),
    ],
)
def test_what_cannot_be_spoken_is_an_error(tmp_path, monkeypatch, flags, message):
    pytest.importorskip("espeakng_loader")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("Hello.\n...\n", encoding="utf-8")
    output = tmp_path / "corpus"
    ran = make_corpus(
        output, *(flag.replace("text.txt", str(tmp_path / "text.txt")) for flag in flags)
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert message in ran.stderr.replace(str(tmp_path) + "/", "")
    assert not output.exists() or not any(output.iterdir())


def run_where(output, loader: str, tmp_path) -> subprocess.CompletedProcess:
    """Runs the program where espeakng_loader is a module with this text."""
    (tmp_path / "espeakng_loader.py").write_text(loader, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    words = [sys.executable, ROOT / "tools" / "make_speech_data.py", f"--output={output}"]
    return subprocess.run(
        words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.slow
def test_without_espeak_a_line_says_how_to_get_it(tmp_path):
    ran = run_where(tmp_path / "corpus", "raise ModuleNotFoundError", tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    hint = "speech needs espeak-ng: pip install 'wavenet_tf[espeak]' installs it"
    assert ran.stderr == f"make_speech_data.py: {hint}\n"
    assert not (tmp_path / "corpus").exists()


@pytest.mark.slow
def test_a_crash_of_espeak_is_a_line(tmp_path):
    crash = "import os, signal\ndef get_data_path():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    ran = run_where(tmp_path / "corpus", crash, tmp_path)
    message = "make_speech_data.py: voices: the worker process ended with exit code -11\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", message)
    assert not any((tmp_path / "corpus").iterdir())


def test_a_folder_with_files_is_refused(tmp_path):
    pytest.importorskip("espeakng_loader")
    (tmp_path / "notes.txt").touch()
    voices = [speech_corpus.Voice("en-us")]
    with pytest.raises(InputError, match=r"output must be a new or empty folder; .* has files"):
        speech_corpus.write_corpus(tmp_path, voices, ["hello"], RATE, seed=0)
