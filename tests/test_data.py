"""recipes.data.load: what comes out of each kind of source, and what is told about a source that cannot be used."""

import csv
import gzip
import itertools
import subprocess
import sys
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from processes import finish, start

from keras_cookbook.recipes import data

TRAIN_ON_TWO_CPUS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
from keras_cookbook.recipes import data
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
digits = data.load("digits", batch_size=50)
with strategy.scope():
    layers = keras.layers
    model = keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(digits.train, validation_data=digits.validation, epochs=3, shuffle=False, verbose=0).history
rows = sum(int(x.shape[0]) for batch in strategy.experimental_distribute_dataset(digits.train)
           for x in strategy.experimental_local_results(batch[0]))
print(rows, history["val_accuracy"][-1] > 0.6)
"""


@pytest.fixture
def tfds_sets(real_data, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_data / "tfds"))


@pytest.fixture
def table():
    """200 rows: numbers, flags and words with gaps, and a target of two names."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, 200),
            "visits": rng.permutation(200),
            "member": rng.random(200) < 0.5,
            "color": rng.choice(["red", "green", "blue"], 200),
            "bought": rng.choice(["no", "yes"], 200, p=[0.7, 0.3]),
        }
    )
    frame.loc[::10, "age"] = np.nan
    frame.loc[::9, "color"] = None
    return frame


def labelled(y, features=3):
    """(x, y) with a row of its own for each label."""
    return np.arange(len(y) * features, dtype="float32").reshape(len(y), features), np.asarray(y)


def write_images(root, sizes=((6, 5),), count=6, channels=3, classes=("cat", "dog")):
    rng = np.random.default_rng(sum(map(ord, root.name)))
    for label in classes:
        (root / label).mkdir(parents=True)
        for number, size in zip(range(count), itertools.cycle(sizes), strict=False):
            pixels = rng.integers(0, 256, (*size, channels), "uint8")
            tf.io.write_file(str(root / label / f"{number}.png"), tf.io.encode_png(pixels))
    return root


def epoch(batches):
    x, y = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(x), np.concatenate(y)


# What comes out of each source


@pytest.mark.parametrize(
    ("name", "task", "shape", "outputs", "rows"),
    [
        ("digits", "multiclass", (8, 8, 1), 10, 1797),
        ("iris", "multiclass", (4,), 3, 150),
        ("wine", "multiclass", (13,), 3, 178),
        ("breast_cancer", "binary", (30,), 1, 569),
        ("diabetes", "regression", (10,), 1, 442),
    ],
)
def test_embedded_set(name, task, shape, outputs, rows):
    loaded = data.load(name)
    assert (loaded.name, loaded.task, loaded.input_shape, loaded.outputs) == (name, task, shape, outputs)
    assert sum(loaded.sizes.values()) == rows
    assert loaded.sizes["test"] == round(rows * 0.2)
    assert loaded.sizes["validation"] == round(rows * 0.1)
    x, y = loaded.arrays("train")
    assert x.shape[1:] == shape
    assert x.dtype == ("uint8" if name == "digits" else "float32")
    if task == "multiclass":
        assert y.dtype == "int32"
        assert y.shape == (len(x),)
        assert set(y) == set(range(outputs))
    else:
        assert y.dtype == "float32"
        assert y.shape == (len(x), 1)
    assert loaded.class_names is None if task == "regression" else len(loaded.class_names) == max(outputs, 2)
    assert loaded.features is None or len(loaded.features) == shape[-1]
    assert repr(name) in repr(loaded)
    assert f"train {len(x):,}" in repr(loaded)


def test_digits_fill_0_to_255_and_keep_their_labels():
    from sklearn.datasets import load_digits

    x, y = data.load("digits", validation=0, test=0).arrays("train")
    images, labels = load_digits(return_X_y=True)
    assert x.min() == 0
    assert x.max() == 255
    np.testing.assert_array_equal(np.round(x.reshape(-1, 64) / 255 * 16), images)
    np.testing.assert_array_equal(y, labels)


def test_data_is_given_back_as_it_is():
    loaded = data.load("iris")
    assert data.load(loaded) is loaded


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.bz2"])
def test_csv_file_gives_what_its_frame_gives(tmp_path, table, suffix):
    path = tmp_path / f"shop{suffix}"
    table.to_csv(path, index=False)
    from_file, from_frame = data.load(path, "bought"), data.load(table, target="bought")
    assert from_file.name == "shop"
    assert from_file.task == "binary"
    assert from_file.class_names == ["no", "yes"]
    assert from_file.features == from_frame.features
    for split in data.SPLITS:
        np.testing.assert_allclose(from_file.arrays(split)[0], from_frame.arrays(split)[0], rtol=1e-6)
        np.testing.assert_array_equal(from_file.arrays(split)[1], from_frame.arrays(split)[1])


def test_adult_census(tmp_path, real_data):
    with gzip.open(real_data / "adult" / "adult.data.gz", "rt") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if len(row) == 15]
    names = (
        "age workclass fnlwgt education years marital occupation relationship race sex gain loss hours country income"
    )
    with open(tmp_path / "adult.csv", "w", newline="") as file:
        csv.writer(file).writerows([names.split(), *rows])
    with pytest.warns(
        data.LeakWarning, match=" rows of test are also in train"
    ):  # the census does hold the same row twice
        adult = data.load(tmp_path / "adult.csv", "income")
    assert adult.task == "binary"
    assert adult.class_names == ["<=50K", ">50K"]
    assert sum(adult.sizes.values()) == 32561
    assert {"age", "workclass_Private", "workclass_missing", "sex_Female"} <= set(adult.features)
    for split in data.SPLITS:
        x, y = adult.arrays(split)
        assert np.isfinite(x).all()
        assert y.mean() == pytest.approx(7841 / 32561, abs=1e-3)


def test_image_folder(tmp_path):
    photos = write_images(tmp_path / "photos", sizes=[(6, 5), (12, 10)], count=10)
    (photos / "cat" / "notes.txt").write_text("not an image")
    loaded = data.load(photos, image_size=None)
    assert (loaded.name, loaded.task, loaded.input_shape) == ("photos", "binary", (6, 5, 3))
    assert loaded.class_names == ["cat", "dog"]
    assert sum(loaded.sizes.values()) == 20
    x, y = data.load(str(photos), validation=0, test=0).arrays("train")
    assert x.dtype == "uint8"
    pixels = tf.io.decode_png(tf.io.read_file(str(photos / "dog" / "0.png")))
    np.testing.assert_array_equal(x[10], pixels)
    assert y[:, 0].tolist() == [0.0] * 10 + [1.0] * 10
    assert data.load(photos, image_size=(3, 4)).input_shape == (3, 4, 3)


def test_image_folder_with_splits_keeps_them(tmp_path):
    for split, count in {"train": 8, "val": 3, "test": 2}.items():
        write_images(tmp_path / "gray" / split, count=count, channels=1, classes=("a", "b", "c"))
    loaded = data.load(tmp_path / "gray")
    assert loaded.sizes == {"train": 24, "validation": 9, "test": 6}
    assert (loaded.task, loaded.outputs, loaded.input_shape) == ("multiclass", 3, (6, 5, 1))


def test_image_folder_beyond_memory_is_read_while_training(tmp_path):
    write_images(tmp_path / "photos", sizes=[(6, 5), (12, 10)], count=10)
    kept, streamed = data.load(tmp_path / "photos"), data.load(tmp_path / "photos", memory=100)
    assert streamed.sizes == kept.sizes
    assert streamed.train.element_spec == kept.train.element_spec
    for ours, theirs in zip(epoch(streamed.test), epoch(kept.test), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(epoch(streamed.train)[0]) == streamed.sizes["train"]
    with pytest.raises(ValueError, match="memory="):
        streamed.arrays("test")


def test_arrays_of_keras_datasets():
    x, y = labelled(np.arange(40) % 4)
    loaded = data.load(((x, y), (-x[:8] - 1, y[:8])), validation=0.25)
    assert loaded.sizes == {"train": 30, "validation": 10, "test": 8}
    np.testing.assert_array_equal(loaded.arrays("test")[0], -x[:8] - 1)


def test_dict_of_splits_cuts_only_what_is_missing(table):
    splits = {"train": table[:120], "validation": table[120:170], "test": table[170:]}
    assert data.load(splits, "bought").sizes == {"train": 120, "validation": 50, "test": 30}
    del splits["validation"]
    assert data.load(splits, "bought").sizes == {"train": 108, "validation": 12, "test": 30}
    x, y = labelled(np.arange(40) % 4)
    assert data.load({"train": (x, y)}, test=0).sizes == {"train": 36, "validation": 4}


def test_no_split_where_none_is_wanted():
    loaded = data.load("iris", validation=0, test=0)
    assert loaded.sizes == {"train": 150}
    assert loaded.validation is None
    assert loaded.test is None


def test_a_frame_beside_its_labels(table):
    loaded = data.load((table.drop(columns="bought"), table["bought"]))
    np.testing.assert_array_equal(loaded.arrays("test")[0], data.load(table, "bought").arrays("test")[0])


@pytest.mark.parametrize(
    ("x", "options", "shape", "dtype"),
    [
        (np.zeros((20, 6, 5), "uint8"), {}, (6, 5, 1), "uint8"),
        (np.zeros((20, 6, 5), "float64"), {}, (6, 5), "float32"),  # a series
        (np.zeros((20, 6, 5), "float64"), {"image_size": (3, 4)}, (3, 4, 1), "float32"),
        (np.zeros((20, 6, 5, 3), "uint8"), {"image_size": (12, 10)}, (12, 10, 3), "uint8"),
        (np.zeros((20, 7), "int64"), {}, (7,), "int32"),
        (np.zeros((20, 7), "bool"), {}, (7,), "float32"),
        (np.full((20, 7), 2**40), {}, (7,), "float32"),
        (tf.zeros((20, 7), "float64"), {}, (7,), "float32"),
    ],
)
@pytest.mark.filterwarnings("ignore::keras_cookbook.recipes.data.LeakWarning")
def test_x_becomes_what_models_take(x, options, shape, dtype):
    loaded = data.load((x, np.arange(20) % 2), **options)
    assert loaded.input_shape == shape
    assert loaded.arrays("train")[0].dtype == dtype


def test_images_are_resized_and_rounded():
    x = np.stack([[[k, k + 1], [k + 1, k + 1]] for k in range(235, 255)]).astype("uint8")  # the mean is k + 0.75
    small, _ = data.load((x, np.arange(20) % 2), validation=0, test=0, image_size=(1, 1)).arrays("train")
    assert small.dtype == "uint8"
    assert small.ravel().tolist() == list(range(236, 256))


# TFDS


MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_mnist_keeps_its_test_set(tfds_sets):
    mnist = data.load("mnist")
    assert mnist.sizes == {"train": 54000, "validation": 6000, "test": 10000}
    assert (mnist.task, mnist.outputs, mnist.input_shape) == ("multiclass", 10, (28, 28, 1))
    assert mnist.class_names == [str(digit) for digit in range(10)]
    counts = sum(np.bincount(mnist.arrays(split)[1]) for split in ("train", "validation"))
    assert counts.tolist() == MNIST_COUNTS
    shares = np.bincount(mnist.arrays("validation")[1]) / counts
    assert np.abs(shares - 0.1).max() < 0.001
    assert mnist.leaks == {}


def test_mnist_beyond_memory_streams(tfds_sets):
    mnist = data.load("mnist", memory=1_000_000, batch_size=500)
    assert mnist.sizes == {"train": 54000, "validation": 6000, "test": 10000}
    assert mnist.train.cardinality() == 108
    assert mnist.train.element_spec == (
        tf.TensorSpec((None, 28, 28, 1), "uint8"),
        tf.TensorSpec((None,), "int32"),
    )
    x, y = epoch(mnist.validation)
    assert x.shape == (6000, 28, 28, 1)
    trained_on = np.concatenate([labels for _, labels in mnist.train.as_numpy_iterator()])
    assert (np.bincount(y) + np.bincount(trained_on)).tolist() == MNIST_COUNTS
    np.testing.assert_array_equal(epoch(mnist.validation)[1], y)
    first, second = (next(iter(mnist.train))[1].numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    assert "54,000" in repr(mnist)
    with pytest.raises(ValueError, match="memory="):
        mnist.arrays("test")
    with pytest.raises(ValueError, match="regression"):
        data.load("mnist", memory=1, task="regression")


def test_mnist_at_another_size(tfds_sets):
    assert data.load("mnist", memory=1, image_size=(14, 14)).test.element_spec[0].shape == (None, 14, 14, 1)


def test_penguins(tfds_sets):
    penguins = data.load("penguins/simple")
    assert penguins.class_names == ["Adelie", "Chinstrap", "Gentoo"]
    assert sum(penguins.sizes.values()) == 344
    assert {"body_mass_g", "missingindicator_body_mass_g", "island_Dream", "sex_FEMALE"} <= set(penguins.features)
    labels = np.concatenate([penguins.arrays(split)[1] for split in data.SPLITS])
    assert np.bincount(labels).tolist() == [152, 68, 124]
    processed = data.load("penguins/processed")
    assert (processed.input_shape, sum(processed.sizes.values())) == ((4,), 334)


def test_another_target(tfds_sets):
    island = data.load("penguins/simple", target="island")
    assert island.class_names == ["Biscoe", "Dream", "Torgersen"]
    assert "species_Gentoo" in island.features
    mass = data.load("titanic", target="fare")
    assert (mass.task, mass.outputs, mass.class_names) == ("regression", 1, None)


def test_titanic(tfds_sets):
    titanic = data.load("titanic")
    assert (titanic.task, titanic.outputs, titanic.class_names) == ("binary", 1, ["died", "survived"])
    assert sum(titanic.arrays(split)[1].sum() for split in data.SPLITS) == 500
    assert {"age", "sex_female", "pclass_1st_class"} <= set(titanic.features)


@pytest.mark.filterwarnings("ignore::keras_cookbook.recipes.data.LeakWarning")  # iris does hold the same flower twice
def test_iris_of_tfds_by_its_version(tfds_sets):
    iris = data.load("iris:2.1.0")
    assert (iris.input_shape, iris.outputs, sum(iris.sizes.values())) == ((4,), 3, 150)
    assert iris.arrays("train")[0].dtype == "float32"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spoken_digit", "fixed shape.*audio.*None"),
        ("bccd", "target=.*objects"),
        ("tiny_shakespeare", "target=.*text"),
        ("mnist", r"target=.*lable.*Did you mean 'label'"),
    ],
)
def test_tfds_set_without_rows_or_label(tfds_sets, name, message):
    with pytest.raises(ValueError, match=message):
        data.load(name, "lable" if name == "mnist" else None)


def test_tfds_set_that_is_not_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError) as told:
        data.load("mnist")
    for part in ("'mnist'", str(tmp_path), "tfds build mnist", "tfds.load('mnist')"):
        assert part in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("mnsit", "'mnist'"), ("digit", "'digits'"), ("penguins/simpel", "'simple'"), ("huggingface:mnist", "network")],
)
def test_unknown_name(name, near):
    with pytest.raises(ValueError, match=name) as told:
        data.load(name)
    assert near in str(told.value)


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.csv.gz", "./nowhere", "/nowhere/at/all"])
def test_missing_file(name):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.load(name, "y")


# Tasks


FLAGS = np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]] * 10)


@pytest.mark.parametrize(
    ("y", "task", "outputs", "class_names"),
    [
        (np.array(["b", "a"] * 20), "binary", 1, ["a", "b"]),
        (np.array([True, False] * 20), "binary", 1, ["False", "True"]),
        (np.array([5, 3] * 20), "binary", 1, ["3", "5"]),
        (np.array([0.0, 1.0] * 20), "binary", 1, ["0", "1"]),
        (np.array([10, 9, 100, 9] * 10), "multiclass", 3, ["9", "10", "100"]),
        (np.array(["b", "a", "c", "c"] * 10, object), "multiclass", 3, ["a", "b", "c"]),
        (np.array([[3], [4], [5], [5]] * 10), "multiclass", 3, ["3", "4", "5"]),
        (np.eye(4)[np.arange(40) % 4], "multiclass", 4, ["0", "1", "2", "3"]),
        (FLAGS, "multilabel", 3, ["0", "1", "2"]),
        (FLAGS.astype(bool), "multilabel", 3, ["0", "1", "2"]),
        (np.linspace(0, 1, 40), "regression", 1, None),
        (np.array([1.0, 2.0, 3.0, 4.0] * 10), "regression", 1, None),
        (np.arange(200), "regression", 1, None),
        (np.linspace(0, 1, 80).reshape(40, 2), "regression", 2, None),
    ],
)
def test_task_follows_from_the_labels(y, task, outputs, class_names):
    loaded = data.load(labelled(y))
    assert (loaded.task, loaded.outputs, loaded.class_names) == (task, outputs, class_names)
    x, coded = loaded.arrays("train")
    rows = (x[:, 0] / 3).astype(int)
    assert coded.dtype == ("int32" if task == "multiclass" else "float32")
    assert coded.shape[1:] == (() if task == "multiclass" else (outputs,))
    if task in ("multilabel", "regression"):
        np.testing.assert_allclose(coded, y.reshape(len(y), -1)[rows])
    else:
        names = [class_names[int(code)] for code in coded.ravel()]
        assert names == [
            str(label) for label in (y.argmax(1) if y.shape[1:] == (4,) else y.ravel())[rows].tolist()
        ] or (y.dtype.kind == "f")


@pytest.mark.parametrize(
    ("y", "task", "outputs"),
    [
        (np.array([0, 1] * 20), "multiclass", 2),
        (np.array([0, 1] * 20), "regression", 1),
        (np.array([1.0, 2.0, 3.0, 4.0] * 10), "multiclass", 4),
        (np.arange(200) // 1, "multiclass", 200),
        (np.eye(4)[np.arange(40) % 4], "multilabel", 4),
        (np.eye(4)[np.arange(40) % 4], "regression", 4),
    ],
)
def test_task_may_be_given(y, task, outputs):
    loaded = data.load(labelled(y), task=task)
    assert (loaded.task, loaded.outputs) == (task, outputs)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b"] * 20, "regression"),
        ([0, 1, 2, 3] * 10, "binary"),
        (np.linspace(0, 1, 40), "multiclass"),
        (np.linspace(0, 1, 40), "binary"),
        ([0, 1, 2, 3] * 10, "multilabel"),
        (np.full((40, 2), 0.5), "multilabel"),
        (FLAGS, "multiclass"),
        (["same"] * 40, None),
        (np.array([1 + 2j] * 40), None),
        (np.zeros((40, 2, 2)), None),
    ],
)
def test_task_that_does_not_fit_the_labels(y, task):
    with pytest.raises(ValueError, match=r"[Ll]abels") as told:
        data.load(labelled(y), task=task)
    assert "arrays" in str(told.value)
    assert task is None or repr(task) in str(told.value)


def test_target_of_several_columns(table):
    table["height"], table["weight"] = np.arange(200) / 7, np.arange(200) / 9
    loaded = data.load(table, target=["height", "weight"])
    assert (loaded.task, loaded.outputs) == ("regression", 2)
    assert "height" not in loaded.features


def test_classes_come_from_all_splits():
    x, y = labelled(["a", "b"] * 20)
    loaded = data.load({"train": (x, y), "test": (-x[:1] - 1, ["c"])}, validation=0)
    assert loaded.class_names == ["a", "b", "c"]
    assert loaded.arrays("test")[1].tolist() == [2]


# Splits


def test_splits_are_stratified():
    y = np.repeat([0, 1, 2], [700, 250, 50])
    loaded = data.load(labelled(y), validation=0.1, test=0.2)
    for split, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert np.bincount(loaded.arrays(split)[1]).tolist() == pytest.approx([700 * share, 250 * share, 50 * share])


@pytest.mark.parametrize("target", [np.repeat([0, 1, 2], [70, 25, 5]), np.linspace(0, 1, 100)])
def test_splits_share_out_every_row_once(target):
    loaded = data.load(labelled(target))
    rows = np.concatenate([loaded.arrays(split)[0][:, 0] for split in data.SPLITS])
    np.testing.assert_array_equal(np.sort(rows), np.arange(100) * 3)


def test_regression_is_cut_at_random():
    x, y = data.load(labelled(np.linspace(0, 1, 1000))).arrays("test")
    assert 0.4 < y.mean() < 0.6
    assert len(set(np.diff(x[:, 0]))) > 5


def test_same_seed_same_rows_and_another_seed_others():
    first, again, other = (data.load("wine", seed=seed) for seed in (1, 1, 2))
    for split in data.SPLITS:
        assert first.arrays(split)[0].tobytes() == again.arrays(split)[0].tobytes()
        assert first.arrays(split)[0].tobytes() != other.arrays(split)[0].tobytes()
    for one, two in zip(epoch(first.train), epoch(again.train), strict=True):
        assert one.tobytes() == two.tobytes()


def test_a_class_of_one_row_is_trained_on():
    loaded = data.load(labelled(["a"] * 30 + ["rare"] + ["b"] * 30))
    assert 2 in loaded.arrays("train")[1]


@pytest.mark.parametrize("rows", [3, 4, 7])
def test_small_sets_give_each_split_a_row(rows):
    assert min(data.load(labelled([0, 1] * rows)[0:2]).sizes.values()) >= 1
    with pytest.raises(ValueError, match="too small"):
        data.load(labelled([0, 1]))


# Frames


def test_frame_is_encoded_as_its_training_rows_teach():
    train = pd.DataFrame(
        {"n": [1.0, 2.0, 9.0, np.nan], "c": ["a", "a", "b", "b"], "flag": [True, False, True, True], "y": [0, 1, 0, 1]}
    )
    test = pd.DataFrame({"n": [np.nan, 1000.0], "c": ["unseen", "a"], "flag": [False, True], "y": [1, 0]})
    loaded = data.load({"train": train, "test": test}, "y", validation=0)
    assert loaded.features == ["n", "flag", "missingindicator_n", "c_a", "c_b"]
    np.testing.assert_array_equal(loaded.arrays("test")[0], [[2, 0, 1, 0, 0], [1000, 1, 0, 1, 0]])
    np.testing.assert_array_equal(loaded.encode(test), loaded.arrays("test")[0])
    assert loaded.encode(test).dtype == "float32"


def test_missing_is_a_category_and_rare_ones_share_a_column():
    frame = pd.DataFrame({"c": ["a", "a", None, None, "once", "also once"], "y": [0, 1, 0, 1, 0, 1]})
    loaded = data.load(frame, "y", validation=0, test=0)
    assert loaded.features == ["c_a", "c_missing", "c_infrequent_sklearn"]
    assert loaded.arrays("train")[0].argmax(1).tolist() == [0, 0, 1, 1, 2, 2]
    many = pd.DataFrame({"c": [f"v{k // 2}" for k in range(400)], "y": np.arange(400) % 2})
    assert data.load(many, "y", validation=0, test=0).input_shape == (64,)


def test_odd_columns_do_not_crash():
    rows = 40
    frame = pd.DataFrame(
        {
            "all_missing": np.full(rows, np.nan),
            "all_none": [None] * rows,
            "constant": 7,
            "nullable": pd.array([1, None] * 20, "Int64"),
            "flags": pd.array([True, None] * 20, "boolean"),
            "objects": np.array([1, 2.5] * 20, object),
            "mixed": ["a", 1] * 20,
            "kind": pd.Categorical(["u", "v"] * 20),
            "each_its_own": [f"name {row}" for row in range(rows)],
            3: np.arange(rows),
            "y": np.arange(rows) % 2,
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = data.load(frame, "y")
    assert all(np.isfinite(loaded.arrays(split)[0]).all() for split in data.SPLITS)
    assert loaded.input_shape == (len(loaded.features),)
    assert {"nullable", "flags", "objects", "mixed_1", "kind_u", "3"} <= set(loaded.features)


@pytest.mark.parametrize("dates", ["%Y-%m-%d", "%d.%m.%Y %H:%M", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%Y%m%d"])
def test_column_of_dates_is_told(tmp_path, table, dates):
    table["day"] = pd.date_range("2020-01-01", periods=200, freq="31h").strftime(dates)
    table.loc[3, "day"] = None
    table.to_csv(tmp_path / "shop.csv", index=False)
    with pytest.warns(UserWarning, match="Column 'day' looks like dates.* year, month or hour") as told:
        data.load(tmp_path / "shop.csv", "bought")
    assert [warning.filename for warning in told] == [__file__]


def test_column_of_numbers_or_versions_is_no_date(table):
    table["amount"] = np.arange(200) + 20_000_000
    table["version"] = [f"1.{k % 2}.10" for k in range(200)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load(table, "bought")


def test_new_rows_that_do_not_fit(table):
    loaded = data.load(table, "bought")
    with pytest.raises(ValueError, match=r"'color' is not in the new rows. Did you mean 'colour'"):
        loaded.encode(table.rename(columns={"color": "colour"}))
    with pytest.raises(ValueError, match="'age' of the new rows must hold numbers"):
        loaded.encode(table.assign(age="old"))
    with pytest.raises(ValueError, match="did not come from a frame"):
        data.load("iris").encode(table)


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        ({}, None, "target= must name the column.*age, visits, member, color, bought"),
        ({}, "bougth", "received 'bougth'. Did you mean 'bought'.*There are age, visits, member, color, bought"),
        ({"bought": [None] * 3 + ["no", "yes"] * 98 + ["no"]}, "bought", r"3 labels of 200 are missing.*\[0, 1, 2\]"),
        ({"day": pd.date_range("2020-01-01", periods=200)}, "bought", "column 'day' is datetime64"),
        ({"big": [np.inf] + [0.0] * 199}, "bought", "Column 'big' of .* infinite"),
    ],
)
def test_frame_that_cannot_be_used(table, change, target, message):
    with pytest.raises(ValueError, match=message):
        data.load(table.assign(**change), target)


def test_frame_of_nothing_but_the_target(table):
    with pytest.raises(ValueError, match="Nothing is left"):
        data.load(table[["bought"]], "bought")


def test_frame_with_two_columns_of_one_name(table):
    with pytest.raises(ValueError, match="different names"):
        data.load(table.rename(columns={"member": "age"}), "bought")


# What else cannot be used


X, Y = labelled(np.arange(40) % 4)
HOLED = X.copy()
HOLED[[7, 9], 0] = np.nan, np.inf


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ((X[:0], Y[:0]), {}, "'arrays'.*is empty"),
        ((X, Y[:39]), {}, "x has 40, y 39"),
        ((HOLED, Y), {}, "2 values that are NaN or infinite, in 2 examples, the first at index 7"),
        ((X.astype("float64") * 1e300, Y), {}, "NaN or infinite"),
        ((X, np.where(Y == 3, np.nan, Y)), {}, "10 labels of 40 are missing.*3, 7, 11"),
        ((X, np.where(Y == 3, np.inf, Y / 3)), {}, "y in 'arrays'.*infinite"),
        ((X.astype(object), Y), {}, "numbers.*object"),
        ((X.astype(str), Y), {}, "numbers.*<U"),
        (([[1, 2], [3]], [0, 1]), {}, "x must be an array of numbers"),
        ((X[:, 0], Y), {}, r"at least one feature.*\(40,\)"),
        ((X[:, :0], Y), {}, r"at least one feature.*\(40, 0\)"),
        ((X, Y), {"target": "y"}, "target='y' names a column"),
        ((X, Y), {"image_size": (8, 8)}, r"image_size= is for images.*\(40, 3\)"),
        (X, {}, "received a ndarray"),
        ([X, Y], {}, "received a list"),
        ({"train": (X, Y), "tset": (X, Y)}, {}, "no 'tset'. Did you mean 'test'"),
        ({"test": (X, Y)}, {}, "must have 'train'"),
        ({"train": (X, Y), "test": (X[:, :2], Y)}, {}, "one kind"),
        ({"train": (X, Y), "test": (X + 1000, np.eye(4)[Y])}, {}, "labels of one shape"),
        ("iris", {"validation": -0.1}, "validation=.*-0.1"),
        ("iris", {"test": 1}, "test=.*received 1"),
        ("iris", {"test": "0.2"}, "test=.*'0.2'"),
        ("iris", {"validation": 0.5, "test": 0.5}, "sum to less than 1"),
        ("iris", {"batch_size": 0}, "batch_size= must be a whole number of at least 1; received 0"),
        ("iris", {"batch_size": 2.0}, "batch_size=.*2.0"),
        ("iris", {"seed": -1}, "seed=.*-1"),
        ("digits", {"image_size": 8}, "image_size= must be"),
        ("digits", {"image_size": (8, 0)}, "image_size= must be a whole number"),
        ("iris", {"task": "multi_class"}, "Did you mean 'multiclass'"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_told_before_training(source, options, message):
    with pytest.raises(ValueError, match=message):
        data.load(source, **options)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "notes.txt").write_text("a,b")
    with pytest.raises(ValueError, match=r"empty\.csv.*No columns"):
        data.load(tmp_path / "empty.csv", "y")
    with pytest.raises(ValueError, match=r"\.csv.*notes\.txt"):
        data.load(tmp_path / "notes.txt", "y")


@pytest.mark.parametrize("memory", [2**30, 1])
def test_image_that_cannot_be_read_is_named(tmp_path, memory):
    photos = write_images(tmp_path / "photos")
    (photos / "dog" / "broken.png").write_bytes(b"this is no image")
    with pytest.raises(ValueError, match=r"Cannot read the image .*dog.broken\.png"):
        data.load(photos, memory=memory)


def test_image_cut_short_is_named(tmp_path):
    photos = write_images(tmp_path / "photos", sizes=[(40, 40)])
    whole = photos / "cat" / "3.png"
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"Cannot read the image .*cat.3\.png"):
        data.load(photos)


def test_folder_without_classes(tmp_path):
    (tmp_path / "one.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="sub-folder of images for each class"):
        data.load(tmp_path)


# Leaks


def test_rows_in_two_splits_are_told():
    x, y = labelled(np.arange(40) % 4)
    fresh = -x[:10] - 1
    source = {
        "train": (x, y),
        "validation": (fresh, y[:10]),
        "test": (np.concatenate([fresh[:2], x[[0, 0, 1]]]), y[:5]),
    }
    with pytest.warns(data.LeakWarning, match="2 of the 5 rows of test are also in validation") as told:
        loaded = data.load(source)
    assert loaded.leaks == {"train/test": 3, "validation/test": 2}
    assert told[0].filename == __file__
    assert "train/test 3" in repr(loaded)


def test_leaks_of_a_frame_are_looked_for_before_it_is_encoded(table):
    names = pd.Series([f"name {row}" for row in range(200)])  # all of them share a column once encoded
    frame = pd.DataFrame({"name": names, "y": np.arange(200) % 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error", data.LeakWarning)
        assert data.load(frame, "y").leaks == {}
    with pytest.warns(data.LeakWarning):
        assert data.load({"train": table[:150], "test": table[140:]}, "bought", validation=0).leaks == {
            "train/test": 10
        }


# Pipelines


def test_batches_have_known_shapes_and_number():
    digits = data.load("digits", batch_size=100)
    assert digits.train.element_spec == (
        tf.TensorSpec((None, 8, 8, 1), "uint8"),
        tf.TensorSpec((None,), "int32"),
    )
    assert digits.train.cardinality() == 13
    assert [len(y) for _, y in digits.validation] == [100, 80]


@pytest.mark.parametrize(("few", "together"), [(20_000, 1 << 20), (0, 1), (0, 4096)], ids=["rows", "batch", "batches"])
def test_train_is_shuffled_anew_each_epoch_and_covers_each_row_once(monkeypatch, few, together):
    monkeypatch.setattr(data.splits, "FEW_ROWS", few)
    monkeypatch.setattr(data.splits, "TOGETHER", together)
    loaded = data.load(labelled(np.arange(300) % 3), batch_size=32)
    assert [len(y) for _, y in loaded.train] == [32] * 6 + [loaded.sizes["train"] - 192]
    rows, labels = loaded.arrays("train")
    (first, first_y), (second, _) = epoch(loaded.train), epoch(loaded.train)
    assert not np.array_equal(first, second)
    for shuffled in (first, second):
        np.testing.assert_array_equal(np.sort(shuffled[:, 0]), np.sort(rows[:, 0]))
    label_of = dict(zip(rows[:, 0], labels, strict=True))
    assert [label_of[key] for key in first[:, 0]] == first_y.tolist()


def test_the_end_of_an_epoch_waits_for_no_tuner():
    loaded = data.load("wine")
    for split in (loaded.train, loaded.validation, loaded.test, loaded.batched(10).train):
        assert split.options().autotune.enabled is False


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_rows_keep_their_order(split):
    loaded = data.load("wine", batch_size=7)
    for _ in range(2):
        for ours, theirs in zip(epoch(getattr(loaded, split)), loaded.arrays(split), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_batched_shares_the_rows():
    loaded = data.load("digits")
    small = loaded.batched(10)
    assert (small.batch_size, loaded.batch_size) == (10, 64)
    assert len(next(iter(small.train))[1]) == 10
    for split in data.SPLITS:
        assert small.arrays(split)[0] is loaded.arrays(split)[0]
    assert small.sizes == loaded.sizes
    with pytest.raises(ValueError, match="batch_size"):
        loaded.batched(0)


def test_rows_are_held_once():
    x, y = labelled(np.arange(40) % 4)
    loaded = data.load((x, y), validation=0, test=0)
    rows, _ = loaded.arrays("train")
    assert np.shares_memory(rows, np.asarray(loaded._parts["train"].tensors[0]))
    x[:] = -1  # what the caller does to his array does not reach it, and nobody writes into its own
    assert rows.min() == 0
    with pytest.raises(ValueError, match="read-only"):
        rows[:] = -1


def test_arrays_of_an_unknown_split():
    with pytest.raises(ValueError, match="Did you mean 'train'"):
        data.load("iris").arrays("trian")


def test_a_model_learns_from_it():
    iris = data.load("iris", batch_size=16)
    model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(iris.train, validation_data=iris.validation, epochs=20, shuffle=False, verbose=0)
    assert model.evaluate(iris.test, verbose=0)[1] > 0.8


def test_two_devices_share_the_batches():
    (printed,) = finish(start(TRAIN_ON_TWO_CPUS))
    assert printed.split()[-2:] == ["1258", "True"]


def test_importing_it_stays_cheap():
    code = "import sys, keras; before = set(sys.modules); import keras_cookbook.recipes.data; "
    code += "print(sorted({'pandas', 'sklearn', 'tensorflow_datasets'} & (set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
