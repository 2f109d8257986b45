"""The catalogue of what can be wrong with a training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """An entry of the catalogue.

    Attributes:
        category: What has to be changed: one of `CATEGORIES`.
        title: The fault in a few words.
        advice: What to do, in one sentence.
        source: Who described it.
    """

    category: str
    title: str
    advice: str
    source: str


#: What can be at fault, in the words of the taxonomy of Humbatova et al. (2020, arXiv:1910.11015).
CATEGORIES = (
    "activation",
    "architecture",
    "batch size",
    "callbacks",
    "data",
    "epochs",
    "initialization",
    "labels",
    "learning rate",
    "loss",
    "optimizer",
    "regularization",
)

_GLOROT = "Glorot and Bengio, 2010, PMLR 9:249-256"
_HE = "He et al., 2015, arXiv:1502.01852"
_PASCANU = "Pascanu et al., 2013, arXiv:1211.5063"
_IOFFE = "Ioffe and Szegedy, 2015, arXiv:1502.03167"
_TAXONOMY = "Humbatova et al., 2020, arXiv:1910.11015"
_AUTOTRAINER = "Zhang et al., 2024, doi:10.1109/TDSC.2024.3450951"
_CHECKER = "Ben Braiek and Khomh, 2023, arXiv:2204.00694"
_MAAS = "Maas et al., 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models"
_SMITH = "Smith, 2018, arXiv:1803.09820"
_GOODFELLOW = "Goodfellow, Bengio and Courville, 2016, Deep Learning, ISBN 9780262035613"

#: Code -> what it stands for.
FAULTS = {
    # ---- seen before training, in the model --------------------------------------------------------------------------
    "loss_and_activation": Fault(
        "loss", "Loss and last activation do not belong together",
        "Use sigmoid with binary cross-entropy, softmax with (sparse) categorical cross-entropy, none with a squared "
        "error; or no activation and from_logits=True.", _TAXONOMY,
    ),
    "one_unit_softmax": Fault(
        "activation", "A softmax over one unit is always 1",
        "Use one unit with sigmoid for two classes, or a unit for each class with softmax.", _TAXONOMY,
    ),
    "stacked_linear": Fault(
        "activation", "Linear layers that follow each other are one linear layer",
        "Put an activation, such as ReLU, between them.", _GOODFELLOW,
    ),
    "nothing_trainable": Fault(
        "architecture", "Nothing can be learnt: no weight is trainable",
        "Set trainable=True for the layers that shall learn, and compile again.", _TAXONOMY,
    ),
    "symmetric_weights": Fault(
        "initialization", "All units of a layer begin alike, and will stay alike",
        "Initialize kernels at random: glorot_uniform, or he_normal before ReLU.", _GLOROT,
    ),
    "weight_scale": Fault(
        "initialization", "Weights begin far too large or too small",
        "Use glorot_uniform, or he_normal before ReLU.", _HE,
    ),
    "small_batch_normalized": Fault(
        "batch size", "Batch normalization over very few examples",
        "Take batches of 16 or more, or use LayerNormalization or GroupNormalization.",
        "Wu and He, 2018, arXiv:1803.08494",
    ),
    "bias_before_normalization": Fault(
        "architecture", "A bias that the next layer takes away again",
        "Make the layer before batch normalization with use_bias=False.", _IOFFE,
    ),
    "strong_penalty": Fault(
        "regularization", "A penalty on the weights that is far above the loss itself",
        "Use an L2 of 1e-5 to 1e-3, or weight_decay of the optimizer.", _GOODFELLOW,
    ),
    "strong_dropout": Fault(
        "regularization", "So much dropout that little can be learnt",
        "Use a rate of 0.5 or less.", "Srivastava et al., 2014, JMLR 15:1929-1958",
    ),
    "learning_rate_range": Fault(
        "learning rate", "A learning rate outside of what this optimizer is used with",
        "Begin with 0.001 for Adam and its kin, 0.01 to 0.1 for SGD.", _SMITH,
    ),
    "callbacks_conflict": Fault(
        "callbacks", "Callbacks that work against each other", "Leave one of them out, or change its patience.",
        _TAXONOMY,
    ),
    # ---- seen before training, in the data ---------------------------------------------------------------------------
    "label_shape": Fault(
        "labels", "Labels whose shape the loss does not take",
        "Give class numbers to sparse categorical cross-entropy, one-hot rows to categorical cross-entropy.", _TAXONOMY,
    ),
    "label_range": Fault(
        "labels", "Labels outside of what the output can say",
        "Number classes from 0; scale targets to the range of the last activation, or leave that away.", _TAXONOMY,
    ),
    "not_finite_input": Fault(
        "data", "NaN or infinity in the data", "Remove or replace these values: one makes every weight NaN.", _CHECKER,
    ),
    "input_scale": Fault(
        "data", "Inputs that are not scaled",
        "Standardize them, or put Normalization or Rescaling at the model's start.",
        "LeCun et al., 1998, Efficient BackProp, doi:10.1007/3-540-49430-8_2",
    ),
    "scaled_twice": Fault(
        "data", "Inputs that are scaled twice", "Scale in the pipeline or in the model, not in both.", _TAXONOMY,
    ),
    "constant_feature": Fault(
        "data", "Features that never change", "Leave them out: they carry nothing.", _TAXONOMY,
    ),
    "imbalance": Fault(
        "data", "Few examples of a class", "Weight the classes (class_weight), and watch more than accuracy.",
        "Buda et al., 2018, arXiv:1710.05381",
    ),
    "missing_class": Fault(
        "labels", "A class without examples", "See that all classes are among the training data.", _TAXONOMY,
    ),
    "sorted_labels": Fault(
        "data", "Labels in order: validation_split takes the last ones", "Shuffle before the split.", _TAXONOMY,
    ),
    "same_rows": Fault(
        "data", "The same examples in two splits", "Remove duplicates before splitting.",
        "Kapoor and Narayanan, 2023, doi:10.1016/j.patter.2023.100804",
    ),
    "initial_loss": Fault(
        "loss", "A first loss far from that of a guess",
        "Look at the scale of inputs and weights, at from_logits and at the labels.", _CHECKER,
    ),
    # ---- seen in training --------------------------------------------------------------------------------------------
    "not_finite": Fault(
        "learning rate", "NaN or infinity in the network",
        "Lower the learning rate, clip gradients, and look for rows that are not finite.", _CHECKER,
    ),
    "exploding_gradient": Fault(
        "learning rate", "Gradients that explode",
        "Clip the norm of the gradient to 1, lower the learning rate, normalize between layers.", _PASCANU,
    ),
    "vanishing_gradient": Fault(
        "activation", "Gradients that vanish towards the input",
        "Use ReLU and its kin, he_normal, normalization, or residual connections.", _GLOROT,
    ),
    "no_gradient": Fault(
        "architecture", "A layer that the loss does not reach",
        "See what is between it and the loss: stop_gradient, argmax, rounding, an unused branch; or freeze it.",
        _GOODFELLOW,
    ),
    "underflow": Fault(
        "optimizer", "Gradients too small for float16",
        "Let the loss be scaled (compile with auto_scale_loss=True), or compute in bfloat16.",
        "Micikevicius et al., 2018, arXiv:1710.03740",
    ),
    "dead_units": Fault(
        "initialization", "Units that answer 0 to everything from the beginning",
        "Initialize with he_normal and no negative bias, scale the inputs, or use leaky_relu.", _MAAS,
    ),
    "dying_units": Fault(
        "learning rate", "Units that training has driven to answer 0 to everything",
        "Lower the learning rate, or use leaky_relu.", _MAAS,
    ),
    "saturated_units": Fault(
        "activation", "Units that answer with their limit to everything",
        "Scale the inputs, begin with smaller weights, or use an activation without limits.", _GLOROT,
    ),
    "large_updates": Fault(
        "learning rate", "Steps that are large beside the weights", "Lower the learning rate.", _CHECKER,
    ),
    "small_updates": Fault(
        "learning rate", "Steps too small to change the weights", "Raise the learning rate.", _CHECKER,
    ),
    "oscillation": Fault(
        "learning rate", "A loss that swings up and down", "Lower the learning rate, or take larger batches.",
        _AUTOTRAINER,
    ),
    "divergence": Fault(
        "learning rate", "A loss that grows", "Lower the learning rate, or clip gradients.", _AUTOTRAINER,
    ),
    "slow_convergence": Fault(
        "learning rate", "A loss that falls too slowly",
        "Raise the learning rate, or use Adam.", _AUTOTRAINER,
    ),
    "no_learning": Fault(
        "architecture", "No better than a guess",
        "See whether one batch can be learnt by heart; look at labels, loss and learning rate.", _TAXONOMY,
    ),
    "still_falling": Fault(
        "epochs", "Training ended while the loss still fell", "Train for more epochs.", _TAXONOMY,
    ),
    "overfitting": Fault(
        "regularization", "Validation gets worse while training gets better",
        "Stop early, use dropout or weight decay, augment, or get more data.", _GOODFELLOW,
    ),
    "mode_collapse": Fault(
        "architecture", "A generator that makes the same over and over",
        "Lower the generator's learning rate, or use loss='wgan_gp' or spectral normalization.",
        "Salimans et al., 2016, arXiv:1606.03498",
    ),
    "strong_discriminator": Fault(
        "learning rate", "A discriminator that is never deceived",
        "Lower the discriminator's learning rate, or use spectral normalization.",
        "Arjovsky and Bottou, 2017, arXiv:1701.04862",
    ),
    "posterior_collapse": Fault(
        "regularization", "A code that says nothing of the input",
        "Lower beta, or let it grow during training.", "Bowman et al., 2016, arXiv:1511.06349",
    ),
    "attention_collapse": Fault(
        "learning rate", "Attention that looks at a single step",
        "Lower the learning rate, warm it up, begin with smaller weights, or normalize queries and keys.",
        "Zhai et al., 2023, arXiv:2303.06296",
    ),
    "embedding_collapse": Fault(
        "loss", "Embeddings that are alike for all examples",
        "Take more negatives or a stop-gradient, normalize between layers, or lower the learning rate.",
        "Chen and He, 2021, arXiv:2011.10566; Wang and Isola, 2020, arXiv:2005.10242",
    ),
    "expert_collapse": Fault(
        "regularization", "One expert that is given everything",
        "Add a loss that balances the experts, or noise to the router.", "Shazeer et al., 2017, arXiv:1701.06538",
    ),
    "policy_collapse": Fault(
        "regularization", "A policy that has settled before it was any good",
        "Raise the bonus for entropy, or lower the learning rate.", "Mnih et al., 2016, arXiv:1602.01783",
    ),
    "q_divergence": Fault(
        "learning rate", "Values of actions that grow beyond any return",
        "Update the target network more slowly, take double Q-learning, or lower the learning rate.",
        "van Hasselt et al., 2018, arXiv:1812.02648",
    ),
}  # fmt: skip

#: What another fault may have led to; where one is known, it is to be mended first.
SYMPTOMS = (
    "not_finite",
    "exploding_gradient",
    "divergence",
    "oscillation",
    "no_learning",
    "slow_convergence",
    "overfitting",
    "still_falling",
)

#: What is unusual and may be right all the same: whether it is, training shows.
SUSPICIONS = ("loss_and_activation", "stacked_linear", "weight_scale", "learning_rate_range", "initial_loss")
