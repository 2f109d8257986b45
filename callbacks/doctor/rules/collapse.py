"""What has become the same for everything: samples, codes, attention, embeddings, experts, policies.

Some of it is told by logs, which a training has where a metric of the model or a callback puts them there:

- `diversity`, `discriminator_loss`: of two players; `kl`: of a code. The recipes log them.
- `embedding_std`: the deviation of normalized embeddings over a batch, in the mean over their dimensions.
- `expert_load_max`: the share of the examples that the busiest expert is given, 0 to 1.
- `episode_return`: the sum of rewards; `entropy`: that of the policy, in nats; `q`: the mean value of actions.
"""

import numpy as np

from ..course import lasting, learning
from ..findings import Finding

#: Pairwise distance of samples to that of the data, below which a generator repeats itself.
COLLAPSED = 0.1
#: Nats: a code that differs from the prior by less says nothing.
EMPTY_CODE = 0.05
#: The cross-entropy of a discriminator that is never deceived, real and made examples together.
NEVER_DECEIVED = 0.05
#: So many of the queries look at a single step each.
PEAKED = 0.95
#: The spread of embeddings over a batch, 1 where they go in all directions: a cosine of 0.9996 between any two. An
#: untrained deep network begins near to that, so it is judged after some steps.
ALIKE, SETTLED = 0.02, 30
#: An `embedding_std` of 2048 dimensions at that spread, which are the most in use.
TINY_DEVIATION = ALIKE / 2048**0.5
#: The share of the examples that leaves nothing to the other experts.
ALL_TO_ONE = 0.95
#: What is left of a policy's first entropy.
SETTLED_POLICY = 0.05
#: So many times the earlier values, the value of actions has blown up.
BLOWN_UP = 10
#: Epochs that the logs of a game or a policy are judged by.
_EPOCHS = 3


# ---- players and codes -----------------------------------------------------------------------------------------------


def mode_collapse(course):
    values = course.losses("diversity")
    if len(values) >= 3 and max(values[-2:]) < COLLAPSED:
        yield Finding(
            "mode_collapse", f"Samples differ from each other {values[-1]:.0%} as much as the data do.", "error", None,
            "learning_rate", **course.now, evidence={"diversity": values[-1]}, confidence=0.8,
            remedy=course.slower(2) | course.remedy(loss="wgan_gp"),
        )  # fmt: skip


def strong_discriminator(course):
    values = course.losses("discriminator_loss")
    if course.settings.get("loss") == "non_saturating" and len(values) >= 3 and max(values[-3:]) < NEVER_DECEIVED:
        yield Finding(
            "strong_discriminator", f"Its loss is {values[-1]:.2g}; between equals it would be 1.39.", "warning", None,
            "rate_ratio", **course.now, evidence={"discriminator_loss": values[-1]}, confidence=0.6,
            remedy=course.remedy(rate_ratio=0.5, spectral_normalization=True),
        )  # fmt: skip


def posterior_collapse(course):
    values = course.losses("kl")
    if len(values) >= 2 and max(values[-2:]) < EMPTY_CODE:
        beta = course.settings.get("beta")
        yield Finding(
            "posterior_collapse", f"The code differs from the prior by {values[-1]:.2g} nats.", "error", None, "beta",
            **course.now, evidence={"kl": values[-1]}, confidence=0.9,
            remedy={"beta": beta / 10} if beta else {},
        )  # fmt: skip


# ---- attention, embeddings, experts ----------------------------------------------------------------------------------


def attention_collapse(course):
    looks = lasting(course)
    if not looks or learning(course):  # what has learnt to look at one step may be right
        return
    for name in looks[-1].attention:
        seen = [look.attention[name] for look in looks if name in look.attention]
        if len(seen) == len(looks) and min(one.peaked for one in seen) >= PEAKED:
            first = next(look.attention[name] for look in course.looks if name in look.attention)
            born = first.peaked >= PEAKED
            yield Finding(
                "attention_collapse",
                f"{seen[-1].peaked:.0%} of the queries of {name!r} look at a single step"
                + (", as at the beginning." if born else f"; at the beginning {first.peaked:.0%} did."),
                "warning", name, "kernel_initializer" if born else "learning_rate", **course.now,
                evidence={"peaked": seen[-1].peaked, "first": first.peaked, "entropy": seen[-1].entropy},
                confidence=0.7, remedy={} if born else course.slower(),
            )  # fmt: skip


def embedding_collapse(course):
    looks = [look.spread for look in lasting(course) if look.spread is not None and look.step >= SETTLED]
    logged = course.losses("embedding_std")
    alike = len(looks) >= _EPOCHS and max(looks) < ALIKE
    if not alike and not _vanished(logged):
        return
    spread = looks[-1] if alike else logged[-1]
    what = "The spread of the embeddings of the examples looked at" if alike else "The deviation of embeddings"
    yield Finding(
        "embedding_collapse", f"{what} is {spread:.2g}" + (", where 1 is possible." if alike else "."), "error", None,
        None, **course.now, evidence={"spread": spread}, confidence=0.8, remedy=course.slower(),
    )  # fmt: skip


def _vanished(values) -> bool:
    """Whether the deviation of embeddings has gone: beside the largest one, since their width is not known."""
    return len(values) >= _EPOCHS and max(values[-2:]) < max(ALIKE * max(values), TINY_DEVIATION)


def expert_collapse(course):
    loads = course.losses("expert_load_max")
    if len(loads) >= _EPOCHS and min(loads[-2:]) > ALL_TO_ONE:
        yield Finding(
            "expert_collapse", f"One expert is given {loads[-1]:.0%} of the examples.", "error",
            course.owners.get("expert_load_max"), None, **course.now, evidence={"expert_load_max": loads[-1]},
            confidence=0.9,
        )  # fmt: skip


# ---- policies and values ---------------------------------------------------------------------------------------------


def policy_collapse(course):
    entropy, returns = course.losses("entropy"), course.losses("episode_return")
    if len(entropy) < 2 * _EPOCHS or len(returns) != len(entropy) or _has_risen(returns):
        return
    if entropy[0] > 0 and max(entropy[-_EPOCHS:]) < SETTLED_POLICY * max(entropy[:_EPOCHS]):
        yield Finding(
            "policy_collapse",
            f"The policy's entropy has fallen from {entropy[0]:.2g} to {entropy[-1]:.2g}, and the return is "
            f"{returns[-1]:.4g}, at first {returns[0]:.4g}.",
            "error", None, "entropy", **course.now, evidence={"entropy": entropy[-1], "episode_return": returns[-1]},
            confidence=0.8, remedy=course.slower(),
        )  # fmt: skip


def q_divergence(course):
    values, returns = np.abs(course.losses("q")), course.losses("episode_return")
    if len(values) < 2 * _EPOCHS or len(returns) != len(values) or _has_risen(returns):
        return
    # A value begins near zero and grows up to the return; what is above any return seen cannot be right.
    far = values[-_EPOCHS:].min() > max(map(abs, returns))
    if far and values[-1] > BLOWN_UP * values[: len(values) // 2].max():
        yield Finding(
            "q_divergence",
            f"The value of actions has grown to {values[-1]:.4g}; the largest return was "
            f"{max(returns, key=abs):.4g}.",
            "error", None, "learning_rate", **course.now, evidence={"q": float(values[-1])}, confidence=0.8,
            remedy=course.slower(),
        )  # fmt: skip


def _has_risen(returns) -> bool:
    """Whether the last returns are clearly better than the first ones."""
    first, last = returns[:_EPOCHS], returns[-_EPOCHS:]
    return float(np.mean(last)) > float(np.mean(first)) + float(np.std(first) + np.std(last))


#: What explains why a loss does not fall; and what stands for itself.
CAUSES = (attention_collapse,)
RULES = (
    mode_collapse,
    strong_discriminator,
    posterior_collapse,
    embedding_collapse,
    expert_collapse,
    policy_collapse,
    q_divergence,
)
