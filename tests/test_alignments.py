"""Readers of alignments, and what is wrong with alignments."""

import codecs

import numpy as np
import pytest
from conftest import tone

import wavenet_tf as wt
from wavenet_tf import data
from wavenet_tf.data.alignments import check_segments
from wavenet_tf.errors import InputError

SHORT = """File type = "ooTextFile"
"TextGrid"

0
0.6
<exists>
3
"IntervalTier"
"words"
0
0.6
3
0
0.1
""
0.1
0.5
"he said ""hé"" [1]"
0.5
0.6
""
"TextTier"
"clicks"
0
0.6
1
0.25
"click"
"IntervalTier"
"phones"
0
0.6
2
0
0.1
"sp"
0.1
0.6
"hh"
"""
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.6
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.6
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.5
            text = "he said ""hé"" [1]"
        intervals [3]:
            xmin = 0.5
            xmax = 0.6
            text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 0.6
        points: size = 1
        points [1]:
            number = 0.25
            mark = "click"
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.6
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1e-1
            text = "sp"
        intervals [2]:
            xmin = 0.1
            xmax = 0.6
            text = "hh"
"""
EXPECTED = {
    "words": [(0.0, 0.1, "sil"), (0.1, 0.5, 'he said "hé" [1]'), (0.5, 0.6, "sil")],
    "phones": [(0.0, 0.1, "sil"), (0.1, 0.6, "hh")],
}
ENCODINGS = {
    "utf-8": str.encode,
    "utf-8 with a byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16 little endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16 big endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "latin-1": lambda text: text.encode("latin-1"),
    "carriage returns": lambda text: text.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "text",
    [SHORT, LONG, SHORT.replace('ooTextFile"', 'ooTextFile short"')],
    ids=["short", "long", "ooTextFile short"],
)
def test_a_textgrid_is_read_in_every_form_and_encoding(text, encoding, tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(ENCODINGS[encoding](text))
    assert data.read_alignment(path) == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.lab",
            "0 1000000 sil\n1000000 2500000 hh\n",
            {"phones": [(0, 0.1, "sil"), (0.1, 0.25, "hh")]},
        ),
        (
            "a.lab",
            "0 500000 xx^xx-sil+hh=ax@1_2\n500000 900000 xx^sil-hh+ax=l@3_4\n",
            {"phones": [(0, 0.05, "sil"), (0.05, 0.09, "hh")]},
        ),
        (
            "a.txt",
            "0,25\t0,5\tone two\n\\\t100\t200\n0.5\t0.75\t\n",
            {"labels": [(0.25, 0.5, "one two"), (0.5, 0.75, "sil")]},
        ),
        (
            "a.ctm",
            ";; all\nb 1 0 9 x\na 1 0.25 0.5 one 0.9\na 1 0.75 0.25 <eps>\n",
            {"labels": [(0.25, 0.75, "one"), (0.75, 1.0, "sil")]},
        ),
        ("A.PHN", "0 1600 h#\n1600 3200 sh\n", {"phones": [(0, 0.1, "h#"), (0.1, 0.2, "sh")]}),
        ("a.wrd", "0 3200 she\n", {"words": [(0, 0.2, "she")]}),
    ],
)
def test_lines_of_labels_are_read(name, text, expected, tmp_path):
    (tmp_path / name).write_text(text)
    assert data.read_alignment(tmp_path / name, "a") == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.srt", "", "must be a file ending in .textgrid, .lab"),
        ("a.TextGrid", "ooBinaryFile\x08TextGrid", "a binary TextGrid"),
        ("a.TextGrid", "hello", "it is no TextGrid"),
        ("a.TextGrid", SHORT[: SHORT.index('"hh"')], "a.TextGrid, tier 'phones': the file ends"),
        ("a.TextGrid", LONG[: LONG.index('"IntervalTier"')], "a.TextGrid, tier ''"),
        ("a.lab", "she had\n", "a.lab, line 1: expected a line such as '0 3050000 h'"),
        ("a.phn", "0 10 h#\n\n10 x s\n", "a.phn, line 3: .* received '10 x s'"),
        ("a.txt", "0.1 0.2 label", "a.txt, line 1"),
        ("a.ctm", "a 1 0.25\n", "a.ctm, line 1"),
    ],
)
def test_a_file_that_is_no_alignment_is_named(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        data.read_alignment(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*missing.lab: No such file"):
        data.read_alignment(tmp_path / "missing.lab")


def test_segments_are_checked():
    rounded, problems = check_segments([(0.0, 0.5, "a"), (0.49, 1.015, "b")], 1.0, "file")
    assert (rounded, problems) == ([(0.0, 0.495, "a"), (0.495, 1.0, "b")], [])
    _, problems = check_segments([(0.0, 0.5, "a"), (0.3, 1.0, "b")], 1.0, "file, phones")
    assert problems == ["file, phones: 'a' and 'b' overlap at 0.300 s"]
    with pytest.raises(InputError, match=r"file: 'b' at 0.500-1.100 s is after the end of the au"):
        check_segments([(0.0, 0.5, "a"), (0.5, 1.1, "b")], 1.0, "file")
    with pytest.raises(InputError, match=r"file: times must ascend; 'b' is at 0.100-0.200 s"):
        check_segments([(0.2, 0.5, "a"), (0.1, 0.2, "b")], 1.0, "file")


def test_a_textgrid_is_read_as_it_was_written(tmp_path):
    tiers = {"phones": [(0.0, 0.125, "sil"), (0.25, 0.5, 'h"h')], "words": [(0.25, 0.5, "é")]}
    path = tmp_path / "a.TextGrid"
    path.write_text(data.textgrid_text(tiers, 1.0), encoding="utf-8")
    read = data.read_alignment(path)
    assert read["phones"] == [
        (0.0, 0.125, "sil"),
        (0.125, 0.25, "sil"),
        (0.25, 0.5, 'h"h'),
        (0.5, 1.0, "sil"),
    ]
    assert read["words"][1] == (0.25, 0.5, "é")


@pytest.fixture
def corpus(tmp_path):
    for index in range(3):
        wt.write_audio(tmp_path / "speech" / f"{index}.wav", tone(0.6), 8000)
    return tmp_path


def test_alignments_are_found_beside_the_recordings(corpus):
    for index in range(2):
        (corpus / "speech" / f"{index}.TextGrid").write_text(SHORT)
    recordings = data.read_recordings(corpus, 8000)
    with pytest.warns(UserWarning, match="1 recordings have no alignment .speech/2.wav"):
        aligned = data.with_alignments(recordings, "*.TextGrid")
    assert aligned.alignments[1] == EXPECTED
    assert aligned.alignments[2] == {}
    source = data.FrameClassSource(["hh", "sil"], 80)
    with pytest.raises(InputError, match="unknown label"):
        data.FrameClassSource(["sil"], 80).check(aligned)
    np.testing.assert_array_equal(source.clip_value(aligned, 0), [1] * 10 + [0] * 50)
    np.testing.assert_array_equal(source.clip_value(aligned, 2), [-1] * 60)


def test_alignments_of_another_folder_and_of_one_file(corpus):
    (corpus / "aligned" / "speech").mkdir(parents=True)
    for index in range(3):
        (corpus / "aligned" / "speech" / f"{index}.lab").write_text(f"0 {index + 1}000000 a\n")
    (corpus / "all.ctm").write_text("".join(f"{i} 1 0.1 0.2 w{i}\n" for i in range(3)))
    recordings = data.read_recordings(corpus, 8000)
    labels = data.with_alignments(recordings, "aligned/*.lab")
    assert labels.alignments[1] == {"phones": [(0.0, 0.2, "a")]}
    words = data.with_alignments(recordings, "all.ctm")
    np.testing.assert_allclose(words.alignments[2]["labels"][0][:2], [0.1, 0.3])
    assert words.alignments[2]["labels"][0][2] == "w2"


def test_alignments_of_other_files_are_refused(corpus):
    recordings = data.read_recordings(corpus, 8000)
    with pytest.raises(InputError, match=r"match no file of .*: speech/0.wav: no 0.TextGrid"):
        data.with_alignments(recordings, "*.TextGrid")
    (corpus / "speech" / "1.lab").write_text("0 9000000 a\n")
    with pytest.raises(InputError, match=r"1.lab, phones: 'a' at 0.000-0.900 s is after the end"):
        data.with_alignments(recordings, "*.lab")
