"""Simple models of scikit-learn, trained on the same training rows and judged on the same split.

A network that does not beat them has not earned its keep. They are cut to cost seconds: few rows, few features, few
trees, and each says on how many rows it was trained.
"""

import time
import warnings

import numpy as np

from . import evaluation, splits

MOST_ROWS, MOST_FEATURES, MOST_OUTPUTS = 5000, 256, 20
#: Rows x features x trees: what boosting may cost, about three seconds on one core.
BOOSTING_WORK = 2e8


def compare(train, judged, task: str, answers, class_names=None) -> list[dict]:
    """The scores of the baselines, and how far the model's answers are ahead of each.

    Args:
        train: A `Split` to learn from.
        judged: The `Split` that the model was judged on.
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`.
        answers: The model's predictions on `judged`: probabilities (rows, classes), or numbers for a regression.
        class_names: A name for each class.

    Returns:
        A dict for each: `name`, `scores`, `rows` and `of` (trained on so many of so many rows), `features` (images
        are shrunk), `seconds`, and `lead`: by how much the model is better in accuracy or mean absolute error, and
        half the width of the 95% interval of that (paired over the rows, normal approximation). An empty list for
        data without labels, or that are neither numbers nor text.
    """
    import threadpoolctl

    whole, train = train.rows or len(train), train.some(MOST_ROWS)
    known = _features(train, judged)
    if known is None:
        return []
    x, x_judged, kind = known
    y = np.asarray(train.y)
    y = y.ravel() if task in ("binary", "multiclass") else y.reshape(len(y), -1)
    if task == "binary":
        y = (y > 0.5).astype(int)
    answers = np.asarray(answers).reshape(len(judged), -1)
    outputs = answers.shape[1]
    guesses = [("mean" if task == "regression" else "majority class", None)]
    found = []
    for name, learner in [*guesses, *_learners(task, kind, np.shape(x)[-1], y)]:
        began = time.monotonic()
        # One thread: those of OpenMP wait for each other for minutes where TensorFlow's keep the cores busy.
        with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
            warnings.simplefilter("ignore")  # what has not converged is a baseline all the same
            guess = (
                _fit(learner, x, y, x_judged, task, outputs)
                if learner is not None
                else _constant(task, y, len(judged), outputs)
            )
        row = {"name": name, "scores": judge(task, judged.y, guess, class_names)["scores"], "rows": len(x)}
        row |= {"of": whole, "features": None if kind == "text" else x.shape[1]}
        row |= {"seconds": round(time.monotonic() - began, 2), "lead": _lead(task, judged.y, answers, guess)}
        found.append(row)
    return found


def judge(task: str, labels, answers, class_names=None) -> dict:
    """The numbers for a task: `evaluation.classification`, `multilabel` or `regression`."""
    if task in ("binary", "multiclass"):
        return evaluation.classification(np.asarray(labels).ravel().astype(int), answers, class_names)
    if task == "multilabel":
        return evaluation.multilabel(labels, answers, class_names)
    return evaluation.regression(labels, answers)


def _features(train, judged):
    """Rows of numbers or text for scikit-learn, and which of the two; None for anything else."""
    if train.y is None or not isinstance(train.x, np.ndarray):
        return None
    if splits.is_text(train.x):
        if train.x.size != len(train.x):
            return None
        return *([splits.text(v) for v in split.x.ravel()] for split in (train, judged)), "text"
    x, x_judged = _rows(train.x), _rows(judged.x)
    if x.shape[1] > MOST_FEATURES:
        chosen = np.sort(np.argsort(-x.var(0), kind="stable")[:MOST_FEATURES])
        x, x_judged = x[:, chosen], x_judged[:, chosen]
    return x, x_judged, "numbers"


def _rows(x):
    """(rows, features). Neighbours in large images and long sequences are averaged until there are few enough."""
    x = np.asarray(x, "float32")
    middle = {3: (1,), 4: (1, 2)}.get(x.ndim, ())
    while middle and x[0].size > MOST_FEATURES and min(x.shape[axis] for axis in middle) > 1:
        for axis in middle:
            even = x.shape[axis] // 2 * 2
            x = (x.take(range(0, even, 2), axis) + x.take(range(1, even, 2), axis)) / 2
    return np.nan_to_num(x.reshape(len(x), -1))


def _learners(task: str, kind: str, features: int, y):
    """Name and scikit-learn estimator of each baseline but the constant one."""
    from sklearn import ensemble, feature_extraction, linear_model, multiclass, multioutput, pipeline, preprocessing

    outputs = 1 if y.ndim == 1 else y.shape[1]
    if task == "regression":
        linear, trees = linear_model.Ridge(), ensemble.HistGradientBoostingRegressor
        wrap = multioutput.MultiOutputRegressor
    else:
        linear, trees = linear_model.LogisticRegression(max_iter=200), ensemble.HistGradientBoostingClassifier
        wrap = multiclass.OneVsRestClassifier
    name = "linear regression (ridge)" if task == "regression" else "logistic regression"
    each = wrap if outputs > 1 else lambda estimator: estimator
    linear = each(linear) if task == "multilabel" else linear
    if kind == "text":
        words = feature_extraction.text.TfidfVectorizer(max_features=20_000, sublinear_tf=True)
        yield f"TF-IDF and {name}", pipeline.make_pipeline(words, linear)
        return
    yield name, pipeline.make_pipeline(preprocessing.StandardScaler(), linear)
    per_round = len(np.unique(y)) if task == "multiclass" else outputs
    if outputs <= MOST_OUTPUTS and per_round <= 2 * MOST_OUTPUTS:
        rounds = int(np.clip(BOOSTING_WORK / (len(y) * features * per_round), 10, 100))
        yield (
            f"boosted trees ({rounds} rounds)",
            each(trees(max_iter=rounds, max_leaf_nodes=15, max_bins=63, random_state=0)),
        )


def _constant(task: str, y, rows: int, outputs: int):
    """What is best without looking at x: the shares of the classes, or the mean."""
    if task in ("binary", "multiclass"):
        return np.tile(np.bincount(y, minlength=outputs)[:outputs] / len(y), (rows, 1))
    return np.tile(y.mean(0), (rows, 1))


def _fit(learner, x, y, x_judged, task: str, outputs: int):
    single = task == "regression" and y.shape[1] == 1
    learner.fit(x, y.ravel() if single else y)
    if task == "regression":
        return learner.predict(x_judged).reshape(len(x_judged), -1)
    guess = learner.predict_proba(x_judged)
    if task == "multilabel":
        return guess
    whole = np.zeros((len(guess), outputs))  # a class may be missing from the rows learnt from
    whole[:, learner.classes_] = guess
    return whole


def _lead(task: str, labels, answers, guess) -> dict:
    """By how much the answers are better than the guess, a mean over rows, and half its 95% interval."""
    good, other = (_goodness(task, np.asarray(labels), np.asarray(given)) for given in (answers, guess))
    difference = good - other
    margin = 1.96 * difference.std() / np.sqrt(len(difference))
    of = "mae" if task == "regression" else "accuracy"
    return {"value": float(difference.mean()), "margin": float(margin), "of": of}


def _goodness(task: str, labels, answers):
    if task in ("binary", "multiclass"):
        return (answers.argmax(1) == labels.ravel()).astype(float)
    labels = labels.reshape(len(labels), -1)
    if task == "multilabel":
        return ((answers >= 0.5) == (labels >= 0.5)).mean(1)
    return -abs(answers.reshape(len(labels), -1) - labels).mean(1)
