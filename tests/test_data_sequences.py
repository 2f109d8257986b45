"""recipes.data: texts, sequences with labels of their own for each step, and windows over a time series."""

import gzip
import tracemalloc
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_cookbook.recipes import data

TEXTS = [f"{'good' if k % 2 else 'bad'} film number {k} of the year" for k in range(60)]
MOODS = np.arange(60) % 2


def epoch(batches):
    x, y = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(x), np.concatenate(y)


def decoded(texts):
    return [text.decode() for text in texts]


# The kind of data


@pytest.mark.parametrize(
    ("x", "kind", "shape"),
    [
        (np.zeros((20, 7)), "rows", (7,)),
        (pd.DataFrame({"a": np.arange(20)}), "rows", (1,)),
        (np.zeros((20, 6, 5)), "sequences", (6, 5)),
        (np.zeros((20, 6, 5), "int64"), "sequences", (6, 5)),
        (np.zeros((20, 6, 5), "uint8"), "images", (6, 5, 1)),
        (np.zeros((20, 6, 5, 3)), "images", (6, 5, 3)),
        (np.zeros((20, 2, 6, 5, 3)), "rows", (2, 6, 5, 3)),
        (TEXTS[:20], "text", (7,)),
    ],
)
@pytest.mark.filterwarnings("ignore::keras_cookbook.recipes.data.LeakWarning")
def test_kind_follows_from_x(x, kind, shape):
    loaded = data.load((x, np.arange(20) % 2))
    assert (loaded.kind, loaded.input_shape) == (kind, shape)
    assert kind in repr(loaded)
    assert loaded.batched(5).kind == kind


def test_images_on_disk(real_data, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))
    mnist = data.load("mnist", memory=1)
    assert (mnist.kind, mnist.leaks) == ("images", None)
    assert "not looked for" in repr(mnist)
    assert "none found" in repr(data.load((np.arange(40).reshape(20, 2), np.arange(20) % 2)))


# Text


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        np.array(TEXTS),
        np.array(TEXTS, object),
        [text.encode() for text in TEXTS],
        np.array(TEXTS).astype("S"),
        pd.Series(TEXTS, index=np.arange(60) + 7),
        tf.constant(TEXTS),
    ],
    ids=["list", "U", "object", "bytes", "S", "series", "tensor"],
)
def test_texts_in_every_form(texts):
    loaded = data.load((texts, MOODS))
    assert (loaded.kind, loaded.task, loaded.outputs, loaded.input_shape) == ("text", "binary", 1, (7,))
    assert loaded.sizes == {"train": 42, "validation": 6, "test": 12}
    assert loaded.features is None
    assert loaded.leaks == {}
    assert loaded.train.element_spec == (tf.TensorSpec((None,), "string"), tf.TensorSpec((None, 1), "float32"))
    found = []
    for split in data.SPLITS:
        x, y = loaded.arrays(split)
        assert x.dtype == object
        assert {type(text) for text in x} == {str}
        assert [float(text.startswith("good")) for text in x] == y[:, 0].tolist()
        assert y.mean() == 0.5  # stratified
        found += x.tolist()
    assert sorted(found) == sorted(TEXTS)
    for split in ("validation", "test"):
        x, y = epoch(getattr(loaded, split))
        assert decoded(x) == loaded.arrays(split)[0].tolist()
        np.testing.assert_array_equal(y, loaded.arrays(split)[1])


@pytest.mark.parametrize("few", [20_000, 0], ids=["few", "many"])
def test_training_texts_are_shuffled_with_their_labels(monkeypatch, few):
    monkeypatch.setattr(data.splits, "FEW_ROWS", few)
    loaded = data.load((TEXTS, MOODS), batch_size=8)
    (first, labels), (second, _) = epoch(loaded.train), epoch(loaded.train)
    assert decoded(first) != decoded(second)
    assert sorted(decoded(first)) == sorted(decoded(second)) == sorted(loaded.arrays("train")[0])
    assert [float(text.startswith(b"good")) for text in first] == labels[:, 0].tolist()


def test_same_seed_same_texts():
    first, again, other = (data.load((TEXTS, MOODS), seed=seed).arrays("test")[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_length_is_that_of_the_longest_training_text():
    splits = {"train": (["one two", "a  b\tc\nd"], [0, 1]), "test": (["so many words in this one"], [1])}
    assert data.load(splits, validation=0).input_shape == (4,)
    splits["train"] = (["one two", "word " * 600], [0, 1])
    assert data.load(splits, validation=0).input_shape == (512,)


def test_texts_of_any_alphabet_and_their_tasks():
    texts = ["Grüße, Welt", "日本 語", "naïve 🙂 film", "nul\0 inside", "NA", "null"] * 5
    loaded = data.load({"train": (texts, ["a", "b", "c"] * 10)}, validation=0, test=0)
    assert loaded.arrays("train")[0].tolist() == texts
    assert (loaded.task, loaded.class_names) == ("multiclass", ["a", "b", "c"])
    assert data.load((TEXTS, np.arange(60) / 7)).task == "regression"
    assert data.load((TEXTS, np.eye(3)[np.arange(60) % 3] + np.eye(3)[0] > 0)).task == "multilabel"


def test_texts_of_keras_datasets_style():
    loaded = data.load(((TEXTS[:40], MOODS[:40]), (TEXTS[40:], MOODS[40:])), validation=0.25)
    assert loaded.sizes == {"train": 30, "validation": 10, "test": 20}
    assert loaded.arrays("test")[0].tolist() == TEXTS[40:]


def test_a_text_in_two_splits_is_told():
    splits = {"train": (TEXTS[:50], MOODS[:50]), "test": (TEXTS[47:], MOODS[47:])}
    with pytest.warns(data.LeakWarning, match="3 of the 13 rows of test are also in train"):
        assert data.load(splits, validation=0).leaks == {"train/test": 3}


@pytest.fixture
def reviews():
    return pd.DataFrame({"stars": np.arange(60), "review": TEXTS, "mood": np.where(MOODS, "good", "bad")})


@pytest.mark.parametrize("suffix", [None, ".csv", ".csv.gz"])
def test_column_of_texts(tmp_path, reviews, suffix):
    source = reviews
    if suffix:
        source = tmp_path / f"films{suffix}"
        reviews.to_csv(source, index=False)
    loaded = data.load(source, "mood", text="review")
    assert (loaded.kind, loaded.input_shape, loaded.class_names) == ("text", (7,), ["bad", "good"])
    assert loaded.arrays("test")[0].tolist() == data.load((TEXTS, MOODS)).arrays("test")[0].tolist()
    splits = {"train": reviews[:40], "test": reviews[40:]}
    assert data.load(splits, "mood", text="review", validation=0).arrays("test")[0].tolist() == TEXTS[40:]
    assert data.load((reviews, MOODS), text="review").kind == "text"
    with pytest.raises(ValueError, match="did not come from a frame"):
        loaded.encode(reviews)


def test_words_of_a_csv_are_not_missing_values(tmp_path):
    path = tmp_path / "films.csv"
    path.write_text('y,t\n0,NA\n1,null\n0,?\n1,1984\n0,"None, really"\n1, nan\n')
    x, _ = data.load(path, "y", text="t", validation=0, test=0).arrays("train")
    assert x.tolist() == ["NA", "null", "?", "1984", "None, really", "nan"]
    path.write_text("y,t\n0,one\n1,\n0,two\n")
    with pytest.raises(ValueError, match=r"1 texts of 3 are missing or empty in 'films' \(train\).*\[1\]"):
        data.load(path, "y", text="t")


HOLED = [*TEXTS[:7], "", *TEXTS[8:20], None, *TEXTS[21:30], " \n", *TEXTS[31:]]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            (HOLED, MOODS),
            {},
            r"3 texts of 60 are missing or empty in 'arrays' \(train\), the first in rows \[7, 20, 30\]",
        ),
        ((pd.Series(TEXTS).where(MOODS == 1), MOODS), {}, r"30 texts of 60 are missing.*\[0, 2, 4\]"),
        (([*TEXTS[:4], float("nan"), *TEXTS[5:]], MOODS), {}, r"1 texts of 60 are missing.*\[4\]"),
        (([*TEXTS[:-1], 5], MOODS), {}, "row 59 is 5, a int"),
        ((np.array([*TEXTS[:-1], 5], object), MOODS), {}, "row 59 is 5, a int"),
        (([*TEXTS[:9], b"caf\xe9", *TEXTS[10:]], MOODS), {}, "UTF-8; in 'arrays' .* row 9 is not"),
        (([*TEXTS[:9], "caf\ud800", *TEXTS[10:]], MOODS), {}, "UTF-8; in 'arrays' .* row 9 is not"),
        ((TEXTS, MOODS[1:]), {}, "x has 60, y 59"),
        ((TEXTS, MOODS), {"image_size": (8, 8)}, "must hold numbers"),
        ((TEXTS, MOODS), {"text": "review"}, "text='review' names a column of a frame, but the source holds arrays"),
        ((np.array(TEXTS)[:, None], MOODS), {}, r"a text for each row.*\(60, 1\)"),
        ((TEXTS, np.arange(240).reshape(60, 4) % 3), {"task": "multiclass"}, "one column of two or more classes"),
        ((TEXTS, np.zeros((60, 4, 2))), {}, r"Labels must be \(rows,\) or \(rows, outputs\); in"),
        ({"train": (TEXTS, MOODS), "test": (np.zeros((60, 3)), MOODS)}, {}, "one kind"),
        ("iris", {"text": "review"}, "'iris' is none"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_texts_that_cannot_be_used(source, options, message):
    with pytest.raises(ValueError, match=message):
        data.load(source, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reveiw", "received 'reveiw'. Did you mean 'review'.*There are stars, review"),
        ("mood", "text= must name the column"),  # which is the target
        ("stars", "'stars' of the source is int64"),
    ],
)
def test_column_that_holds_no_texts(reviews, text, message):
    with pytest.raises(ValueError, match=message):
        data.load(reviews, "mood", text=text)


def test_texts_of_tfds(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class TinyReviews(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "title": tfds.features.Text(),
                "text": tfds.features.Text(),
                "label": tfds.features.ClassLabel(names=["neg", "pos"]),
            }
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features), supervised_keys=("text", "label")
            )

        def _split_generators(self, _):
            return {"train": self._generate_examples(0, 50), "test": self._generate_examples(50, 60)}

        def _generate_examples(self, start, end):
            for k in range(start, end):
                yield k, {"text": TEXTS[k], "title": f"Größe {k}", "label": MOODS[k]}

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    TinyReviews(data_dir=tmp_path).download_and_prepare()
    loaded = data.load("tiny_reviews", memory=1)
    assert (loaded.kind, loaded.task, loaded.class_names) == ("text", "binary", ["neg", "pos"])
    assert loaded.sizes == {"train": 45, "validation": 5, "test": 10}
    x, y = loaded.arrays("test")
    assert sorted(x) == sorted(TEXTS[50:])
    assert [float(text.startswith("good")) for text in x] == y[:, 0].tolist()
    assert data.load("tiny_reviews", text="title").arrays("test")[0][0].startswith("Größe 5")
    with pytest.raises(ValueError, match=r"text= must name a text of 'tiny_reviews'.*Did you mean 'title'"):
        data.load("tiny_reviews", text="titel")


def test_text_of_a_tfds_table(real_data, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", data.LeakWarning)  # two passengers bear one name
        titanic = data.load("titanic", target="sex", text="name")
    assert (titanic.kind, titanic.class_names) == ("text", ["male", "female"])
    x, y = titanic.arrays("train")
    assert y[["Mrs. " in name for name in x]].mean() > 0.99


@pytest.fixture(scope="module")
def rt_polarity(real_data):
    texts, labels = [], []
    for label, name in enumerate(("neg", "pos")):
        with gzip.open(
            real_data / "rt_polarity" / f"rt-polarity.{name}.gz", "rt", encoding="latin-1", newline="\n"
        ) as f:
            lines = f.read().rstrip("\n").split("\n")
        texts += lines
        labels += [label] * len(lines)
    return texts, labels


def test_rt_polarity_is_learnt(rt_polarity):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        films = data.load(rt_polarity, validation=0.1, test=0.1)
    assert sum(films.sizes.values()) == 10662
    assert films.input_shape == (max(len(text.split()) for text in films.arrays("train")[0]),)
    assert films.arrays("test")[1].mean() == pytest.approx(0.5, abs=1e-3)
    words = keras.layers.TextVectorization(3000, output_mode="multi_hot")
    words.adapt(films.train.map(lambda x, y: x))
    counted = [split.map(lambda x, y: (words(x), y)) for split in (films.train, films.test)]
    model = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    model.fit(counted[0], epochs=2, shuffle=False, verbose=0)
    assert model.evaluate(counted[1], verbose=0)[1] > 0.7


# Sequences with a label for each step

STEPS = 5
X = np.random.default_rng(0).normal(size=(40, STEPS, 3)).astype("float32")
TAGS = np.arange(40 * STEPS).reshape(40, STEPS) % 3
ZEROS_AND_ONES = np.random.default_rng(1).integers(0, 2, (40, STEPS))
NUMBERS = np.random.default_rng(2).normal(size=(40, STEPS, 2))
CLASSES = np.arange(40) % 4


@pytest.mark.parametrize(
    ("y", "task", "becomes", "outputs", "shape", "dtype"),
    [
        (TAGS, None, "multiclass", 3, (STEPS,), "int32"),
        (TAGS, "multiclass", "multiclass", 3, (STEPS,), "int32"),
        (TAGS[..., None], None, "multiclass", 3, (STEPS,), "int32"),
        (TAGS.astype("float32"), "multiclass", "multiclass", 3, (STEPS,), "int32"),
        (np.array(["DET", "NOUN", "VERB"])[TAGS], None, "multiclass", 3, (STEPS,), "int32"),
        (np.array(["DET", "NOUN", "VERB"], object)[TAGS], None, "multiclass", 3, (STEPS,), "int32"),
        (np.eye(3)[TAGS], None, "multiclass", 3, (STEPS,), "int32"),
        (TAGS, "regression", "regression", STEPS, (STEPS,), "float32"),
        (np.arange(200).reshape(40, STEPS), None, "regression", STEPS, (STEPS,), "float32"),  # quantities
        (np.arange(200).reshape(40, STEPS), "multiclass", "multiclass", 200, (STEPS,), "int32"),
        (TAGS[:, :4], None, "regression", 4, (4,), "float32"),
        (ZEROS_AND_ONES, None, "multilabel", STEPS, (STEPS,), "float32"),
        (ZEROS_AND_ONES, "multiclass", "multiclass", 2, (STEPS,), "int32"),
        (ZEROS_AND_ONES, "binary", "binary", 1, (STEPS, 1), "float32"),
        (ZEROS_AND_ONES[..., None], None, "binary", 1, (STEPS, 1), "float32"),
        (ZEROS_AND_ONES[..., None], "multilabel", "multilabel", 1, (STEPS, 1), "float32"),
        (np.stack([ZEROS_AND_ONES, 1 - ZEROS_AND_ONES[::-1]], 2), None, "multilabel", 2, (STEPS, 2), "float32"),
        (NUMBERS, None, "regression", 2, (STEPS, 2), "float32"),
        (NUMBERS[:, :3], None, "regression", 2, (3, 2), "float32"),  # the three steps to come
        (NUMBERS[..., :1], None, "regression", 1, (STEPS, 1), "float32"),
        (NUMBERS[..., 0], None, "regression", STEPS, (STEPS,), "float32"),
        (CLASSES, None, "multiclass", 4, (), "int32"),
        (np.eye(STEPS)[np.arange(40) % STEPS], None, "multiclass", STEPS, (), "int32"),
    ],
)
def test_labels_of_sequences(y, task, becomes, outputs, shape, dtype):
    loaded = data.load((X, y), task=task)
    assert (loaded.kind, loaded.input_shape) == ("sequences", (STEPS, 3))
    assert (loaded.task, loaded.outputs) == (becomes, outputs)
    assert len(loaded.class_names or []) == (0 if becomes == "regression" else max(outputs, 1 + (becomes == "binary")))
    assert loaded.sizes == {"train": 28, "validation": 4, "test": 8}
    row_of = {row.tobytes(): number for number, row in enumerate(X)}
    for split in data.SPLITS:
        x, labels = loaded.arrays(split)
        assert labels.shape == (len(x), *shape)
        assert labels.dtype == dtype
        rows = [row_of[row.tobytes()] for row in x]
        given = y.argmax(-1) if y.shape[-1] == 3 and y.ndim == 3 else y
        if becomes == "multiclass" and given.dtype.kind in "iUO":
            names = np.array(loaded.class_names)[labels]
            np.testing.assert_array_equal(names, given[rows].reshape(labels.shape).astype(str))
        elif becomes != "multiclass":
            np.testing.assert_allclose(labels, given[rows].reshape(labels.shape), rtol=1e-6)
    assert loaded.train.element_spec[1] == tf.TensorSpec((None, *shape), dtype)
    spread = np.concatenate([epoch(getattr(loaded, split))[1] for split in data.SPLITS])
    assert spread.sum() == pytest.approx(sum(loaded.arrays(split)[1].sum() for split in data.SPLITS), rel=1e-4)


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (np.eye(STEPS, dtype=int)[np.arange(40) % STEPS], None, r"may be one-hot, or a class for each of the 5 steps"),
        (
            np.eye(STEPS, dtype=int)[np.arange(40) % STEPS],
            "multiclass",
            r"y.argmax\(axis=1\) for the one, y\[..., None\]",
        ),
        (TAGS[:, :4], "multiclass", "for each row or each of its 5 steps.*'arrays'"),
        (TAGS, "binary", "they are 3 classes"),
        (NUMBERS, "multiclass", "task='multiclass' needs"),
        (NUMBERS, "multilabel", "task='multilabel' needs"),
        (ZEROS_AND_ONES[:, :4, None].repeat(2, 2), None, r"task='multilabel' needs.*\(40, 4, 2\)"),
        (np.where(NUMBERS > 2, np.nan, NUMBERS), None, "labels of 400 are missing"),
        (np.where(NUMBERS > 2, np.inf, NUMBERS), None, "y in 'arrays'.*infinite"),
        (np.zeros((40, STEPS, 2, 2)), None, r"or \(rows, steps, outputs\) for sequences; .*\(40, 5, 2, 2\)"),
        (np.zeros((40, STEPS, 0)), None, "Labels must be"),
        ([[1, 2, 3]] * 39 + [[1, 2]], None, "Labels must be an array; in 'arrays'"),
        (TAGS[:39], None, "x has 40, y 39"),
    ],
)
def test_labels_of_sequences_that_do_not_fit(y, task, message):
    with pytest.raises(ValueError, match=message):
        data.load((X, y), task=task)


def test_three_axes_of_labels_are_for_sequences():
    with pytest.raises(ValueError, match=r"Labels must be \(rows,\) or \(rows, outputs\); in"):
        data.load((X[:, :, 0], NUMBERS))


def test_sequences_are_stratified_by_the_class_of_the_row():
    y = np.repeat([0, 1], [30, 10])
    assert data.load((X, y)).arrays("test")[1].sum() == 2


def test_tags_are_learnt():
    y = (X[..., 0] > 0).astype(int) + (X[..., 1] > 0)
    loaded = data.load((np.tile(X, (10, 1, 1)) + np.arange(400)[:, None, None] * 1e-5, np.tile(y, (10, 1))))
    assert (loaded.task, loaded.outputs) == ("multiclass", 3)
    model = keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(loaded.train, validation_data=loaded.validation, epochs=10, shuffle=False, verbose=0)
    assert model.evaluate(loaded.test, verbose=0)[1] > 0.8


# Windows

SERIES = np.stack([np.arange(200.0), -np.arange(200.0), np.arange(200.0) * 10], 1)
TABLE = pd.DataFrame(SERIES, columns=["load", "price", "OT"])


def dated(format=None, **options):
    days = pd.date_range("2024-01-30", periods=200, freq="h", **options)
    return TABLE.assign(date=days if format is None else days.strftime(format))


@pytest.mark.parametrize("target", [None, "OT", ["OT", "load"]])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("horizon", [1, 4])
def test_windows_are_cut_by_time(target, stride, horizon):
    cut = data.windows(TABLE, 10, horizon, target=target, stride=stride, validation=0.1, test=40, batch_size=7)
    outputs = {None: 3, "OT": 1}.get(target, 2) if not isinstance(target, list) else 2
    factors = {None: [1, -1, 10], "OT": [10]}.get(target, [10, 1]) if not isinstance(target, list) else [10, 1]
    assert (cut.kind, cut.task, cut.input_shape, cut.outputs) == ("sequences", "regression", (10, 3), outputs)
    assert (cut.features, cut.class_names, cut.leaks) == (["load", "price", "OT"], None, None)
    assert "not looked for" in repr(cut)
    spans = {"train": (10, 140), "validation": (140, 160), "test": (160, 200)}  # steps to forecast
    for split, (first, last) in spans.items():
        x, y = cut.arrays(split)
        starts = x[:, 0, 0]
        assert starts.tolist() == list(range(first - 10, last - 10 - horizon + 1, stride))
        assert (x.dtype, y.dtype) == ("float32", "float32")
        np.testing.assert_array_equal(x, starts[:, None, None] * [1, -1, 10] + np.arange(10)[:, None] * [1, -1, 10])
        steps = starts[:, None] + 10 + np.arange(horizon)
        np.testing.assert_array_equal(y, steps[..., None] * factors)
        assert first <= steps.min()
        assert steps.max() < last
        assert cut.sizes[split] == len(x)
        for values in (x, y):
            with pytest.raises(ValueError, match="read-only"):
                values[:] = 0
    for split in ("validation", "test"):
        for ours, theirs in zip(epoch(getattr(cut, split)), cut.arrays(split), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert cut.train.element_spec == (
        tf.TensorSpec((None, 10, 3), "float32"),
        tf.TensorSpec((None, horizon, outputs), "float32"),
    )


def test_training_windows_are_shuffled_with_their_targets():
    cut = data.windows(TABLE, 10, 4, target="OT", stride=2, batch_size=16)
    (x, y), (again, _) = epoch(cut.train), epoch(cut.train)
    assert not np.array_equal(x, again)
    np.testing.assert_array_equal(np.sort(x[:, 0, 0]), cut.arrays("train")[0][:, 0, 0])
    np.testing.assert_array_equal(np.sort(again[:, 0, 0]), cut.arrays("train")[0][:, 0, 0])
    np.testing.assert_array_equal(y[:, :, 0], x[:, -1:, 2] + 10 * np.arange(1, 5))
    same, other = (data.windows(TABLE, 10, 4, stride=2, batch_size=16, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(epoch(same.train)[0], x)
    assert not np.array_equal(epoch(other.train)[0], x)
    assert len(next(iter(cut.batched(5).train))[0]) == 5


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_windows_over_a_file(tmp_path, suffix):
    path = tmp_path / f"grid{suffix}"
    dated("%Y-%m-%d %H:%M").to_csv(path, index=False)
    from_file, from_frame = data.windows(path, 10, target="OT"), data.windows(TABLE, 10, target="OT")
    assert (from_file.name, from_frame.name) == ("grid", "frame")
    assert from_file.features == from_frame.features
    for split in data.SPLITS:
        for ours, theirs in zip(from_file.arrays(split), from_frame.arrays(split), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "series",
    [
        dated(),
        dated(tz="Europe/Berlin"),
        dated("%d.%m.%Y %H:%M"),
        dated("%Y%m%d").astype({"date": int}),
        dated().set_index("date"),
        TABLE.astype("int32"),
        TABLE.astype("Int64"),
        TABLE.astype(object),
    ],
    ids=["datetime", "zone", "words", "integers", "index", "int32", "Int64", "object"],
)
def test_columns_of_dates_are_no_variables(series):
    cut = data.windows(series, 10)
    assert cut.features == ["load", "price", "OT"]
    np.testing.assert_array_equal(cut.arrays("train")[0][3], SERIES[3:13])


def test_windows_over_arrays():
    one = data.windows(SERIES[:, 0], 10, 2)
    assert (one.input_shape, one.outputs, one.features) == ((10, 1), 1, None)
    assert one.arrays("train")[1][0].tolist() == [[10], [11]]
    assert data.windows(SERIES.astype("int64").tolist(), 10, target=[2, 0]).arrays("test")[1][0].tolist() == [
        [1600, 160]
    ]
    named = data.windows(TABLE["price"], 10)
    assert (named.features, named.outputs) == (["price"], 1)


def test_what_the_caller_does_to_his_array_does_not_reach_the_windows():
    series = SERIES.astype("float32")
    cut = data.windows(series, 10)
    series[:] = -1
    np.testing.assert_array_equal(cut.arrays("train")[0][0], SERIES[:10])


def test_no_split_where_none_is_wanted():
    cut = data.windows(SERIES, 10, validation=0, test=0)
    assert cut.sizes == {"train": 190}
    assert cut.validation is None
    assert data.windows(SERIES, 10, validation=0, test=50).sizes == {"train": 140, "test": 50}


def test_windows_hold_one_copy_of_the_series():
    series = np.zeros((200_000, 4), "float32")  # 3 MB, as windows 600 MB
    tracemalloc.start()
    cut = data.windows(series, 192, 96, target=[0, 1, 2, 3])
    x, _ = cut.arrays("train")
    next(iter(cut.validation))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert x.shape == (140_000 - 192 - 96 + 1, 192, 4)
    for split in data.SPLITS:
        assert np.may_share_memory(cut.arrays(split)[0], np.asarray(cut._parts["train"].series))
        assert cut._parts[split].series is cut._parts["train"].goals


SHUFFLED = dated().sample(frac=1, random_state=0)


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (
            SERIES[:20],
            {"history": 10, "horizon": 5},
            r"'series' is too short: it has 20 steps.*history=10.*needs 50 steps",
        ),
        (SERIES[:30], {"history": 10, "validation": 10, "test": 10}, "needs 31 steps"),
        (SERIES, {"history": 10, "horizon": 5, "test": 3}, "test=3 steps cannot hold a window .* horizon=5"),
        (SERIES, {"history": 0}, "history= must be a whole number of at least 1; received 0"),
        (SERIES, {"history": 10, "horizon": 2.0}, "horizon=.*2.0"),
        (SERIES, {"history": 10, "stride": 0}, "stride="),
        (SERIES, {"history": 10, "batch_size": 0}, "batch_size="),
        (SERIES, {"history": 10, "seed": -1}, "seed="),
        (SERIES, {"history": 10, "validation": 1.5}, "validation= must be a share.*or a number of steps; received 1.5"),
        (SERIES, {"history": 10, "test": True}, "test=.*True"),
        (SERIES, {"history": 10, "test": -1}, "test=.*-1"),
        (SERIES, {"history": 10, "test": "0.2"}, "test=.*'0.2'"),
        (SERIES, {"history": 10, "validation": 0.5, "test": 0.5}, "sum to less than 1"),
        (SERIES, {"history": 10, "target": 3}, "target=.*received 3.*There are 0, 1, 2"),
        (
            TABLE,
            {"history": 10, "target": "prize"},
            "received 'prize'. Did you mean 'price'.*There are load, price, OT",
        ),
        (TABLE, {"history": 10, "target": []}, "one at least"),
        (TABLE, {"history": 10, "target": ["OT", "OT"]}, "different variables"),
        (TABLE.assign(sky="blue"), {"history": 10}, "column 'sky' of 'frame' is .*blue"),
        (TABLE.mask(TABLE == 470), {"history": 10}, r"1 values that are NaN.*step 47 of variable 'OT'"),
        (np.where(SERIES == -7, np.inf, SERIES), {"history": 10}, "first at step 7 of variable 1"),
        (SERIES * 1e300, {"history": 10}, "NaN or infinite"),
        (SERIES[None], {"history": 10}, r"\(steps, variables\).*\(1, 200, 3\)"),
        (SERIES.astype(str), {"history": 10}, "must hold numbers.*<U"),
        ([[1, 2], [3]], {"history": 1}, "must be an array of numbers"),
        (SERIES[:0], {"history": 1}, r"\(0, 3\)"),
        (TABLE[[]], {"history": 1}, "holds no numbers"),
        (TABLE.set_axis(["a", "a", "b"], axis=1), {"history": 1}, "different names"),
        (SHUFFLED, {"history": 10}, "not in the order of time: column 'date' goes back to 2024"),
        (SHUFFLED.astype({"date": str}), {"history": 10}, "not in the order of time: column 'date'"),
        (SHUFFLED.set_index("date"), {"history": 10}, "not in the order of time: the index"),
    ],
)
def test_series_that_cannot_be_used(series, options, message):
    with pytest.raises(ValueError, match=message):
        data.windows(series, **options)


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.windows("nowhere.csv", 10)


@pytest.mark.parametrize("options", [{}, {"validation": 0.3}, {"validation": 20, "test": 0.25}, {"test": 0.02}])
def test_as_many_steps_as_it_asks_for_are_enough(options):
    with pytest.raises(ValueError, match="too short") as told:
        data.windows(np.zeros(20), 30, 7, **options)
    needed = int(str(told.value).split("it needs ")[1].split()[0])
    assert min(data.windows(np.zeros(needed), 30, 7, **options).sizes.values()) >= 1
    with pytest.raises(ValueError, match="too short"):
        data.windows(np.zeros(int(needed * 0.9) - 1), 30, 7, **options)


def test_etth1(tmp_path, real_data):
    path = real_data / "etth1" / "ETTh1.csv.gz"
    whole = data.windows(path, 96, 24)
    assert (whole.name, whole.input_shape, whole.outputs) == ("ETTh1", (96, 7), 7)
    assert whole.features == ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    frame = pd.read_csv(path)[:14400]
    usual = data.windows(frame, 96, 24, target="OT", validation=2880, test=2880)
    assert usual.sizes == {"train": 8521, "validation": 2857, "test": 2857}  # as in Zhou et al., 2021
    _, y = usual.arrays("test")
    np.testing.assert_allclose(y[0, :, 0], frame["OT"][11520:11544].astype("float32"))
    np.testing.assert_allclose(y[-1, :, 0], frame["OT"][-24:].astype("float32"))


def test_a_forecast_is_learnt():
    waves = np.sin(np.arange(1200)[:, None] / [5, 9])
    cut = data.windows(waves, 24, 6, batch_size=32)
    inputs = keras.Input(cut.input_shape)
    answer = keras.layers.Reshape((6, 2))(keras.layers.Dense(12)(keras.layers.Flatten()(inputs)))
    model = keras.Model(inputs, answer)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(cut.train, validation_data=cut.validation, epochs=8, shuffle=False, verbose=0)
    assert model.evaluate(cut.test, verbose=0) < 0.05
    assert model.predict(cut.test, verbose=0).shape == cut.arrays("test")[1].shape


def test_a_recipe_is_told_what_the_labels_are():
    from keras_cookbook import recipes

    def arguments(found):
        return recipes.recurrent.recipe.sizes(found)

    x = np.random.default_rng(0).normal(size=(40, 6, 2)).astype("float32")
    series = data.windows(np.sin(np.arange(200.0)), 12, 3)
    assert arguments(series) == {"input_shape": (12, 1), "outputs": 1, "task": "regression", "horizon": 3}
    tags = data.load((x, np.arange(240).reshape(40, 6) % 3))
    assert arguments(tags) == {"input_shape": (6, 2), "outputs": 3, "task": "multiclass", "return_sequences": True}
    whole = data.load((x, np.arange(40) % 3))
    assert arguments(whole) == {"input_shape": (6, 2), "outputs": 3, "task": "multiclass"}
    for found in (series, tags, whole):
        model = recipes.recurrent(**arguments(found), width=4)
        assert model.output_shape[1:-1] == tuple(found.train.element_spec[1].shape)[1 : len(model.output_shape) - 1]
        model.fit(found.train, verbose=0)
