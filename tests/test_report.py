"""Reports: the numbers against scikit-learn, the page against its data, and what may go wrong."""

import base64
import io
import json
import math
import re
import types
import warnings
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_cookbook import callbacks, tuning
from keras_cookbook.callbacks import plots
from keras_cookbook.callbacks.report import baselines, evaluation, examples, facts, splits, tasks, training_page
from keras_cookbook.callbacks.report import callback as writing
from keras_cookbook.cli import main
from keras_cookbook.tuning import analysis
from keras_cookbook.tuning import plots as tuning_plots
from keras_cookbook.tuning.report import search_page, search_report

EVIL = "<script>alert(1)</script>"


def read(folder):
    """report.json, which must be strict."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)


def network(inputs, outputs, activation, loss, metrics=()):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(inputs), keras.layers.Flatten(), keras.layers.Dense(outputs, activation)])
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=list(metrics))
    return model


def pictures(rows, seed=0):
    """Bars in one of three places, with noise."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, rows).astype("int32")
    x = generator.normal(60, 40, (rows, 8, 8, 1))
    for place in range(3):
        x[y == place, :, 2 * place : 2 * place + 2] += 20
    return x.clip(0, 255).astype("uint8"), y


def bundle(train, test, **more):
    """What `recipes.data.load` gives, as far as a report asks for it."""
    parts = {"train": train, "test": test}
    return types.SimpleNamespace(
        train=train, validation=None, test=test, arrays=lambda name: parts[name], batch_size=32,
        sizes={name: len(part[1]) for name, part in parts.items()}, **more,
    )  # fmt: skip


def fit(model, data, folder, epochs=3, **options):
    chosen = callbacks.standard(folder, report=data, tensorboard=False, progress=False, **options)
    x, y = getattr(data, "train", data) if data is not True else pictures(60)
    model.fit(x, y, validation_split=0.25, epochs=epochs, callbacks=chosen, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    data = bundle(pictures(200), pictures(90, 1), name="bars", task="multiclass", class_names=["left", EVIL, "right"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = fit(network((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy", ["accuracy"]), data, folder)
    return types.SimpleNamespace(folder=folder, data=data, model=model, report=read(folder))


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guesses():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 300)
    labels[labels == 3] = 2  # a class without rows
    raw = generator.gamma(1, size=(300, 4)) + 2 * np.eye(4)[labels] * generator.random((300, 1))
    return labels, raw / raw.sum(1, keepdims=True)


def test_classification_is_that_of_scikit_learn(guesses):
    from sklearn import metrics

    labels, probabilities = guesses
    predicted = probabilities.argmax(1)
    found = evaluation.classification(labels, probabilities)
    known = metrics.precision_recall_fscore_support(labels, predicted, labels=range(4), zero_division=0)
    columns = [[row[key] for row in found["classes"]] for key in ("precision", "recall", "f1", "support")]
    np.testing.assert_allclose(columns, known)
    np.testing.assert_array_equal(found["confusion_matrix"], metrics.confusion_matrix(labels, predicted))
    assert found["scores"]["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["scores"]["log_loss"] == pytest.approx(metrics.log_loss(labels, probabilities, labels=range(4)))
    assert found["scores"]["macro_f1"] == pytest.approx(np.mean(known[2]))
    worst = found["confusions"][0]
    assert worst["rows"] == max(
        m for i, row in enumerate(found["confusion_matrix"]) for j, m in enumerate(row) if i != j
    )


def test_roc_auc_counts_ties_half():
    from sklearn import metrics

    generator = np.random.default_rng(1)
    labels, scores = generator.integers(0, 2, 200), generator.integers(0, 5, 200) / 4
    assert evaluation.roc_auc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert math.isnan(evaluation.roc_auc(np.ones(3), np.arange(3)))


def test_multilabel_is_that_of_scikit_learn():
    from sklearn import metrics

    generator = np.random.default_rng(2)
    labels, probabilities = generator.integers(0, 2, (80, 3)), generator.random((80, 3))
    found = evaluation.multilabel(labels, probabilities)
    known = metrics.precision_recall_fscore_support(labels, probabilities >= 0.5, zero_division=0)
    np.testing.assert_allclose(
        [[r[k] for r in found["classes"]] for k in ("precision", "recall", "f1", "support")], known
    )
    assert found["scores"]["exact_match"] == pytest.approx(metrics.accuracy_score(labels, probabilities >= 0.5))


def test_regression_is_that_of_scikit_learn():
    from sklearn import metrics

    generator = np.random.default_rng(3)
    true = generator.normal(size=(100, 2))
    predicted = true + generator.normal(0, [0.2, 0.9], (100, 2))
    found = evaluation.regression(true, predicted)
    assert found["scores"]["r2"] == pytest.approx(metrics.r2_score(true, predicted))
    assert found["scores"]["mae"] == pytest.approx(metrics.mean_absolute_error(true, predicted))
    assert found["scores"]["rmse"] == pytest.approx(math.sqrt(metrics.mean_squared_error(true, predicted)))
    assert found["points"]["output"] == "1", "the worst output is drawn"
    middle = next(q for q in found["error_quantiles"] if q["share"] == 0.5)
    assert middle["error"] == pytest.approx(np.median(predicted - true))
    assert math.isnan(evaluation.regression(np.ones(5), np.arange(5))["scores"]["r2"])


def test_calibration_error_by_hand():
    # Ten predictions at 0.9 of which five are right, ten at 0.5 (in the bin up to 0.5) of which five are right.
    found = evaluation.calibration([0.9] * 10 + [0.5] * 10, ([1, 0] * 5) * 2, bins=10)
    assert found["ece"] == pytest.approx(0.5 * 0.4 + 0.5 * 0.0)
    assert [entry["count"] for entry in found["bins"]] == [0, 0, 0, 0, 10, 0, 0, 0, 10, 0]
    # Drawn from their own probabilities, predictions are calibrated.
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, 20_000)
    assert evaluation.calibration(sure, generator.random(20_000) < sure)["ece"] < 0.02
    assert evaluation.calibration([1.0, 0.0], [1, 0])["ece"] == 0


# ---- labels and answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "labels", "answers", "task"),
    [
        ("sparse_categorical_crossentropy", np.zeros(4, int), np.zeros((4, 3)), "multiclass"),
        (keras.losses.BinaryCrossentropy(), np.zeros((4, 1)), np.zeros((4, 1)), "binary"),
        (keras.losses.BinaryCrossentropy(), np.zeros((4, 3)), np.zeros((4, 3)), "multilabel"),
        ("mse", np.zeros(4), np.zeros((4, 1)), "regression"),
        (None, np.zeros((4, 5), int), np.zeros((4, 5, 3)), "multiclass"),
        (None, None, np.zeros((4, 5)), None),
    ],
)
def test_the_task_follows_from_the_model(loss, labels, answers, task):
    assert tasks.task_of(types.SimpleNamespace(loss=loss), None, labels, answers) == task


def test_labels_and_answers_in_one_form():
    plain = types.SimpleNamespace(loss=None)
    logits = types.SimpleNamespace(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels, answers, kept = tasks.in_one_form(plain, "multiclass", np.array([[0, 1], [2, -1]]), np.ones((2, 2, 3)) / 3)
    assert labels.tolist() == [0, 1, 2], "tokens are rows, and one without a label is left out"
    assert len(answers) == 3
    assert kept.tolist() == [True, True, True, False]
    labels, _, _ = tasks.in_one_form(plain, "multiclass", np.eye(3)[[2, 0]], np.ones((2, 3)) / 3)
    assert labels.tolist() == [2, 0], "one-hot"
    _, answers, _ = tasks.in_one_form(logits, "multiclass", np.array([0]), np.array([[0.0, math.log(3)]]))
    np.testing.assert_allclose(answers, [[0.25, 0.75]])
    _, answers, _ = tasks.in_one_form(plain, "binary", np.array([[1.0]]), np.array([[0.8]]))
    np.testing.assert_allclose(answers, [[0.2, 0.8]])


def test_rows_from_arrays_and_batches():
    x, y = pictures(50)
    batches = [(x[i : i + 20], y[i : i + 20]) for i in (0, 20, 40)]
    for data in ((x, y), batches, bundle((x, y), (x, y))):
        split = splits.read(data, splits.judged_name(data), most=30)
        assert len(split) == len(split.y) == 30
    assert splits.read(batches, "given").rows == 50
    assert splits.judged_name(types.SimpleNamespace(train=batches, validation=None, test=None)) is None
    with pytest.raises(ValueError, match="int"):
        splits.read(7, "given")


# ---- baselines, fingerprint, examples --------------------------------------------------------------------------------


def compared(task, train, judged, answers):
    train, judged = (splits.Split(n, x, y, len(x)) for n, (x, y) in (("train", train), ("test", judged)))
    return {row["name"].partition(" (")[0]: row for row in baselines.compare(train, judged, task, answers)}


def test_baselines_learn_what_can_be_learnt():
    train, judged = pictures(300), pictures(200, 1)
    perfect = np.eye(3)[judged[1]]
    found = compared("multiclass", train, judged, perfect)
    assert set(found) == {"majority class", "logistic regression", "boosted trees"}
    shares = np.bincount(train[1]) / 300
    assert found["majority class"]["scores"]["accuracy"] == (judged[1] == shares.argmax()).mean()
    assert found["logistic regression"]["scores"]["accuracy"] > 0.7
    lead = found["logistic regression"]["lead"]
    assert lead["value"] == pytest.approx(1 - found["logistic regression"]["scores"]["accuracy"])
    assert 0 < lead["margin"] < 0.1


def test_baselines_of_other_tasks_and_of_text():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 5)).astype("float32")
    y = x[:, :1] * 3 + 1
    found = compared("regression", (x[:100], y[:100]), (x[100:], y[100:]), np.zeros((100, 1)))
    assert found["linear regression"]["scores"]["r2"] > 0.99
    assert found["linear regression"]["lead"]["value"] < 0, "the network is behind"
    assert abs(found["mean"]["scores"]["r2"]) < 0.2
    both = (x[:, :2] > 0) * 1.0
    found = compared("multilabel", (x[:100], both[:100]), (x[100:], both[100:]), np.full((100, 2), 0.5))
    assert found["logistic regression"]["scores"]["accuracy"] > 0.9
    words = np.array(["good fine", "bad poor"] * 40, object)
    found = compared("binary", (words, np.tile([1.0, 0.0], 40)), (words, np.tile([1, 0], 40)), np.full((80, 2), 0.5))
    assert found["TF-IDF and logistic regression"]["scores"]["accuracy"] == 1


def test_a_fingerprint_is_that_of_the_rows():
    x, y = pictures(40)
    own = facts.fingerprint(splits.Split("test", x, y, 40))
    assert facts.fingerprint(splits.Split("train", x.copy(), y.copy(), 40)) == own
    changed = x.copy()
    changed[7, 0, 0, 0] ^= 1
    assert facts.fingerprint(splits.Split("test", changed, y, 40)) != own
    assert facts.fingerprint(splits.Split("test", x[:39], y[:39], 39)) != own
    texts = [splits.Split("t", np.array(["a", last], object), None, 2) for last in ("b", "b", "c")]
    assert len({facts.fingerprint(one) for one in texts}) == 2


def test_pictures_keep_their_pixels():
    from PIL import Image

    image = np.arange(64, dtype="uint8").reshape(8, 8, 1) * 4
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(examples.picture(image)))))
    np.testing.assert_array_equal(back, image[..., 0])
    scaled = examples.picture(image / 127.5 - 1, examples.scale(image / 127.5 - 1))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(scaled)))), image[..., 0])


def test_the_worst_mistakes_come_first():
    x, y = pictures(4)
    answers = np.eye(3)[y] * 0.8 + 0.05
    y = y.copy()
    y[2] = (y[2] + 1) % 3
    found = examples.worst(splits.Split("test", x, y, 4), "multiclass", answers, ["a", "b", "c"])
    assert [entry["row"] for entry in found] == [2]
    assert found[0]["true"] == "abc"[y[2]]
    found = examples.worst(
        splits.Split("test", np.zeros((3, 2)), np.array([0.0, 5.0, 1.0]), 3), "regression", np.zeros((3, 1))
    )
    assert [entry["row"] for entry in found] == [1, 2, 0]
    assert found[0]["values"] == [["x0", "0"], ["x1", "0"]]


# ---- the report of a training ----------------------------------------------------------------------------------------


def test_the_report_holds_what_the_training_was(trained):
    report, (x, y) = trained.report, trained.data.test
    assert report["notes"] == []
    judged = report["evaluation"]
    assert (judged["split"], judged["rows"], judged["task"]) == ("test", 90, "multiclass")
    right = (trained.model.predict(x, verbose=0).argmax(1) == y).mean()
    assert judged["scores"]["accuracy"] == pytest.approx(right), "judged with the weights that the model ends with"
    assert [record["epoch"] for record in report["log"]] == [1, 2, 3]
    best = min(report["log"], key=lambda record: record["val_loss"])
    assert report["training"]["best_epoch"] == best["epoch"]
    assert "learning_rate" in best
    assert len(report["baselines"]) == 3
    assert report["mistakes"][0]["true"] != report["mistakes"][0]["predicted"]
    assert sum(report["data"]["splits"]["test"]["class_counts"].values()) == 90
    assert f"{right:.1%}" in " ".join(report["verdict"])
    assert report["versions"]["keras"] == keras.__version__
    assert str(trained.folder) not in json.dumps(report)


class Page(HTMLParser):
    """What a page refers to, its tables, and whether its tags are in order."""

    def __init__(self, text):
        super().__init__()
        self.references, self.cells, self.ids, self.open, self.scripts, self.images = [], [], [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.references += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "data", "srcset")]
        self.ids += [values["id"]] if "id" in values else []
        self.scripts += tag == "script"
        if tag == "img":
            assert values.get("alt")
        if tag == "svg":
            assert values.get("aria-label")
        if tag == "th":
            assert values.get("scope") in ("row", "col")
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def check_page(text, scripts=0):
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids)), "an id is used twice"
    for reference in page.references:
        assert reference.startswith(("data:", "#")), reference
        assert not reference.startswith("#") or reference[1:] in page.ids, reference
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert not re.search(r"https?:|@import|//[a-z]+\.[a-z]", text)
    assert page.scripts == scripts
    assert "default-src 'none'" in text
    return page


def test_the_page_loads_nothing_and_is_in_order(trained):
    text = (trained.folder / "report.html").read_text(encoding="utf-8")
    check_page(text)
    assert EVIL not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3, "the class name is shown"
    assert len(text) < 1_000_000


def test_the_page_shows_what_the_data_say(trained):
    page = Page(training_page(trained.report))
    assert training_page(trained.report) == (trained.folder / "report.html").read_text(encoding="utf-8")
    cells = " ".join(page.cells)
    for row in [trained.report["evaluation"], *trained.report["baselines"]]:
        for value in row["scores"].values():
            assert f"{value:.4g}" in cells
    # Another number in the data is another number on the page.
    changed = json.loads(json.dumps(trained.report))
    changed["evaluation"]["classes"][0]["support"] = 4321
    assert "4,321" in training_page(changed)
    assert "4,321" not in cells


def test_true_gives_curves_alone_and_a_folder_is_needed(tmp_path):
    fit(network((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy"), True, tmp_path, 1)
    report = read(tmp_path)
    assert "evaluation" not in report
    assert "data" not in report
    assert report["settings"]["training"]["optimizer"] == "Adam"
    check_page((tmp_path / "report.html").read_text())
    with pytest.raises(ValueError, match="needs a folder"):
        callbacks.standard(report=True)
    assert not any(isinstance(c, callbacks.Report) for c in callbacks.standard(tmp_path, report=False))


def test_regression_on_arrays(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(80, 3)).astype("float32")
    fit(network((3,), 1, None, "mse", ["mae"]), (x, x.sum(1)), tmp_path)
    report = read(tmp_path)
    assert report["notes"] == []
    assert report["evaluation"]["task"] == "regression"
    assert report["evaluation"]["split"] == "given"
    assert "baselines" not in report, "there is no training split"
    page = check_page((tmp_path / "report.html").read_text())
    assert f"{report['evaluation']['scores']['mae']:.4g}" in page.cells


class Poison(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            logs["accuracy"], logs["val_loss"] = math.nan, math.inf


def test_numbers_that_are_none(tmp_path):
    fit(network((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy", ["accuracy"]), True, tmp_path,
        extra=[Poison()], monitor="loss", patience=None)  # fmt: skip
    assert read(tmp_path)["log"][1]["accuracy"] == "NaN"
    page = check_page((tmp_path / "report.html").read_text())
    assert "NaN" in page.cells
    assert "infinite" in page.cells


@pytest.mark.parametrize("part", ["training_report", "save_json", "write_text"])
def test_a_report_that_fails_only_warns(tmp_path, monkeypatch, part):
    def broken(*_, **__):
        raise RuntimeError("no ink")

    monkeypatch.setattr(writing, part, broken)
    with pytest.warns(RuntimeWarning, match=r"no report was written .* no ink\. The training itself is unharmed"):
        fit(network((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy"), True, tmp_path, 1)
    assert (tmp_path / "best.keras").exists()


def test_a_part_that_fails_costs_that_part(tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "compare", lambda *_: 1 / 0)
    data = bundle(pictures(60), pictures(30, 1))
    fit(network((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy"), data, tmp_path, 1)
    report = read(tmp_path)
    assert report["notes"] == ["There is no section on baselines: ZeroDivisionError: division by zero"]
    assert report["evaluation"]["rows"] == 30


def test_an_interrupted_training_leaves_a_report(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    x, y = pictures(40)
    model = network((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy")
    report = callbacks.Report(tmp_path, (x, y), monitor="loss")
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, callbacks=[report, Interrupt()], verbose=0)
    assert not (tmp_path / "report.json").exists()
    report._unfinished()  # what Python does when it ends
    written = read(tmp_path)
    assert written["training"]["ended"] == "interrupted"
    assert len(written["log"]) == 2
    assert "interrupted" in " ".join(written["verdict"])
    model.fit(x, y, epochs=1, callbacks=[report], verbose=0)
    assert read(tmp_path)["training"]["ended"] == "complete"
    assert report._unfinished is None


def test_samples_and_reconstructions(tmp_path):
    class Generative(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(64, "sigmoid")

        def call(self, x):
            return keras.ops.reshape(self.dense(keras.ops.reshape(x, (-1, 64))), (-1, 8, 8, 1))

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(keras.ops.square(y_pred - x))

        def sample(self, n, seed=None):
            return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1))

    x = (pictures(40)[0] / 255).astype("float32")
    model = Generative()
    model.compile("adam")
    chosen = callbacks.standard(tmp_path, report=x, monitor="loss", tensorboard=False, progress=False)
    model.fit(x, epochs=1, callbacks=chosen, verbose=0)
    report = read(tmp_path)
    assert report["notes"] == []
    assert "evaluation" not in report
    assert len(report["samples"]["images"]) == examples.SAMPLES
    assert len(report["reconstructions"]["pairs"]) == examples.PAIRS
    check_page((tmp_path / "report.html").read_text())


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ([(0.9, 0.9), (0.6, 0.7), (0.4, 0.8), (0.2, 1.0)], "rises after epoch 2"),
        ([(0.9, 0.9), (0.6, 0.7), (0.5, 0.6)], "train longer"),
        ([(0.9, 0.9), ("NaN", "NaN")], "not a finite number in epoch 2"),
    ],
)
def test_the_verdict_reads_the_curves(log, said):
    from keras_cookbook.callbacks.report import training_report

    log = [{"epoch": i + 1, "loss": loss, "val_loss": val} for i, (loss, val) in enumerate(log)]
    training = {"monitor": "val_loss", "mode": "min", "asked": len(log), "ended": "complete"}
    assert said in " ".join(training_report(log, training)["verdict"])


def test_the_verdict_is_honest_about_baselines(trained):
    from keras_cookbook.callbacks.report.verdict import verdict

    for value, said in ((0.3, "accuracy of"), (0.01, "no better than"), (-0.3, "is worse than")):
        changed = json.loads(json.dumps(trained.report))
        for row in changed["baselines"]:
            row["lead"] = {"value": value, "margin": 0.05, "of": "accuracy"}
        told = " ".join(verdict(changed))
        assert said in told
        assert ("So this network" in told) == (value < 0.05)


# ---- plots -----------------------------------------------------------------------------------------------------------


def test_every_plot_returns_its_figure_and_takes_ax(trained):
    from matplotlib.figure import Figure

    judged = trained.report["evaluation"]
    calls = {
        "curves": lambda ax: plots.curves(trained.report["log"], "loss", best_epoch=2, ax=ax),
        "learning_rate": lambda ax: plots.learning_rate(trained.report["log"], ax=ax),
        "confusion_matrix": lambda ax: plots.confusion_matrix(judged["confusion_matrix"], ["a", "$b$", "$"], ax=ax),
        "reliability": lambda ax: plots.reliability(judged["calibration"], ax=ax),
        "per_class": lambda ax: plots.per_class(judged["classes"], ax=ax),
        "predicted_against_true": lambda ax: plots.predicted_against_true([1, 2], [1, 3], ax=ax),
        "residuals": lambda ax: plots.residuals([1, 2], [1, 3], ax=ax),
        "image_grid": lambda ax: plots.image_grid(pictures(7)[0], list("abcdefg"), ax=ax),
        "lines": lambda ax: plots.lines([[1, 2], [2, 1]], ax=ax),
        "history": lambda ax: tuning_plots.history(searched(), ax=ax),
        "importance": lambda ax: tuning_plots.importance({"values": [{"name": "a", "share": 1, "error": 0.1}]}, ax=ax),
        "parallel_coordinates": lambda ax: tuning_plots.parallel_coordinates(searched(), ax=ax),
    }
    for name, call in calls.items():
        ax = Figure().subplots()
        assert call(ax) is ax.figure, name
        assert ax.has_data() or ax.patches, name
        assert isinstance(call(None), Figure), name
        call(None).savefig(io.BytesIO(), format="svg")


def test_curves_mark_the_best_epoch():
    history = types.SimpleNamespace(history={"loss": [3.0, 1.0, 2.0], "val_loss": [3.0, 2.0, 4.0]})
    lines = plots.curves(history, best_epoch=2).axes[0].lines
    assert list(lines[0].get_ydata()) == [3.0, 1.0, 2.0]
    assert list(lines[2].get_xdata()) == [2, 2]


# ---- the report of a search ------------------------------------------------------------------------------------------


def searched(folder="nowhere", count=24, failed=3):
    """A search in which the learning rate decides, and depth 9 fails."""
    generator, trials = np.random.default_rng(0), []
    for number in range(1, count + 1):
        bad = number <= failed
        values = {
            "learning_rate": float(10 ** generator.uniform(-4, -1)), "width": int(generator.integers(8, 64)),
            "activation": str(generator.choice(["relu", EVIL])), "depth": 9 if bad else int(generator.integers(1, 4)),
            "epochs": 5,
        }  # fmt: skip
        score = None if bad else 0.9 + 0.1 * (math.log10(values["learning_rate"]) + 1) / 3
        rest = dict.fromkeys(("best_epoch", "epochs", "parameters", "seconds"))
        if not bad:
            rest = {"best_epoch": 3, "epochs": 5, "parameters": 100 + number, "seconds": 1.5}
        status = "failed" if bad else "completed"
        trial = {"trial": number, "status": status, "score": score, "values": values, "logs": {}, "message": EVIL * bad}
        trials.append(trial | rest)
    return tuning.Search("mlp", "rows", "val_accuracy", "max", folder, trials, "All trials were run.")


def test_the_search_report_tells_what_mattered(tmp_path):
    found = searched(tmp_path)
    path = found.write_report()
    report = read(tmp_path)
    assert report["importance"]["values"][0]["name"] == "learning_rate"
    assert report["importance"]["trust"] > 0.5
    assert all(row["share"] < 0.1 for row in report["importance"]["values"][1:])
    advice = " ".join(report["advice"])
    assert "All 3 failed trials have depth=9" in advice
    assert "learning_rate: the best trials lie at the upper end" in advice
    low, high = report["next"]["learning_rate"]
    assert low < max(t["values"]["learning_rate"] for t in found.trials) < high
    assert report["ranking"][0] == found.ranked[0]["trial"]
    assert report["history"][-1]["best"] == found.best_score
    assert report["history"][-1]["seconds"] == pytest.approx(21 * 1.5)
    text = path.read_text(encoding="utf-8")
    page = check_page(text, scripts=1)
    assert search_page(report) == text
    assert EVIL not in text
    assert f"{found.best_score:.4g}" in page.cells
    assert text.count("<polyline") == 21


def test_importance_of_noise_is_not_trusted():
    found = searched(failed=0, count=30)
    generator = np.random.default_rng(1)
    for trial in found.trials:
        trial["score"] = float(generator.random())
    told = analysis.importance(found, analysis.observed(found.trials))
    assert told["trust"] < 0.1
    assert "as noise" in search_page(search_report(found))


@pytest.mark.parametrize(("count", "failed"), [(1, 0), (1, 1), (3, 3), (0, 0)])
def test_the_report_of_a_short_search(count, failed, tmp_path):
    text = searched(tmp_path, count, failed).write_report().read_text()
    check_page(text, scripts=1)
    assert read(tmp_path)["importance"]["values"] == []
    assert ("No trial was completed" in text) == (count == failed)


# ---- the command -----------------------------------------------------------------------------------------------------


def cookbook(*words, code=0):
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def test_cookbook_report_of_a_training(trained, tmp_path):
    (tmp_path / "report.json").write_text((trained.folder / "report.json").read_text())
    assert cookbook("report", tmp_path) == f"report: {tmp_path / 'report.html'}\n"
    assert (tmp_path / "report.html").read_text() == (trained.folder / "report.html").read_text()
    assert json.loads(cookbook("report", tmp_path, "--json")) == {"report": str(tmp_path / "report.html")}


def test_cookbook_report_of_a_log(trained, tmp_path):
    (tmp_path / "log.jsonl").write_text((trained.folder / "log.jsonl").read_text() + '{"epoch": 4, "lo')
    cookbook("report", tmp_path)
    assert [record["loss"] for record in read(tmp_path)["log"]] == [r["loss"] for r in trained.report["log"]]
    assert read(tmp_path)["training"]["best_epoch"] == trained.report["training"]["best_epoch"]


def test_cookbook_report_of_a_search(tmp_path):
    callbacks.save_json(searched(tmp_path).to_dict(), tmp_path / "search.json")
    cookbook("report", tmp_path)
    assert read(tmp_path)["kind"] == "search"
    assert "needs no data" in cookbook("report", tmp_path, "iris", code=1)


def test_cookbook_report_of_nothing(tmp_path):
    assert "nothing to report on" in cookbook("report", tmp_path, code=1)
    assert "there is no folder" in cookbook("report", tmp_path / "missing", code=1)
    assert "no best.keras" in cookbook("report", tmp_path, "iris", code=1)
    (tmp_path / "report.json").write_text("{")
    assert "is no JSON" in cookbook("report", tmp_path, code=1)


def test_train_and_tune_leave_a_report(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    told = cookbook("train", "mlp", "wine", "epochs=1", "width=8", "seed=5", f"folder={one}")
    assert f"report: {one / 'report.html'}" in told
    assert "report=data" in told
    before = read(one)
    assert before["notes"] == []
    assert before["evaluation"]["scores"]["accuracy"] == pytest.approx(
        json.loads((one / "result.json").read_text())["test"]["accuracy"]
    )
    cookbook("report", one, "wine")
    again = read(one)
    assert again["data"] == before["data"], "the same seed, the same split"
    assert again["evaluation"]["scores"] == pytest.approx(before["evaluation"]["scores"], abs=1e-4)
    assert again["notes"] == []
    cookbook("report", one, "wine", "seed=6")
    assert "not those of the earlier report" in read(one)["notes"][0]
    told = cookbook("tune", "mlp", "wine", "epochs=1", "width=4,8", "max_trials=2", f"folder={two}")
    assert f"report: {two / 'report.html'}" in told
    assert read(two)["kind"] == "search"
    cookbook("train", "mlp", "wine", "epochs=1", "width=8", "report=false", f"folder={tmp_path / 'three'}")
    assert not (tmp_path / "three" / "report.html").exists()
