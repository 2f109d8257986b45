"""Throughput of training steps, an epoch a round, on numbers in memory.

    python benchmarks/train_step.py

Ours is `fit` of a recipe with the training settings it has by default, but for the optimizer, which is the peer's. All
of it counts: input, metrics, callbacks. Keras' peers are `fit` too; PyTorch's is the plain loop, on slices of tensors
that it has already, in eager mode, channels last for images, on the GPU or on as many threads as there are cores. Ours
is on the backend that KERAS_BACKEND names, Keras' peers with it.
"""

from harness import CPU_TIME, Side, case, clock, epochs_of, imported, main, recipe


def examples(shape, outputs, count, vocabulary=0):
    """Random inputs and classes: pixels, numbers, or tokens of a vocabulary."""
    import numpy as np

    rng = np.random.default_rng(0)
    if vocabulary:
        x = rng.integers(1, vocabulary, (count, *shape)).astype("int32")
    elif len(shape) == 3:
        x = rng.integers(0, 256, (count, *shape)).astype("uint8")
    else:
        x = rng.normal(size=(count, *shape)).astype("float32")
    return x, rng.integers(0, outputs, count).astype("int32")


def batched(x, y, batch):
    from keras_cookbook import recipes

    return recipes.data.load((x, y), task="multiclass", validation=0, test=0, batch_size=batch).train


def ours(name, shape, outputs=10, batch=64, steps=32, vocabulary=0, **arguments):
    """`fit` of a recipe."""
    x, y = examples(shape, outputs, batch * steps, vocabulary)
    if vocabulary:
        arguments["vocabulary_size"] = vocabulary
    return epochs_of(recipe(name)(tuple(shape), outputs, **arguments), batched(x, y, batch))


def plain_keras(name, shape, outputs=10, batch=64, steps=32, rate=1e-3, **arguments):
    """The same layers compiled by hand, with Keras' own settings."""
    import keras

    model = recipe(name).recipe.build(tuple(shape), outputs, **arguments)
    model = keras.Model(model.inputs, model.outputs)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return keras_fit(model, *examples(shape, outputs, batch * steps), batch)


def keras_fit(model, x, y, batch):
    import tensorflow as tf

    count = len(next(iter(x.values())) if isinstance(x, dict) else x)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(count).batch(batch).prefetch(tf.data.AUTOTUNE)
    return epochs_of(model, data)


def keras_applications(shape, outputs=10, batch=64, steps=32):
    """`keras.applications.ResNet50` without weights, Nesterov's SGD."""
    import keras

    model = keras.applications.ResNet50(weights=None, input_shape=tuple(shape), classes=outputs)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=5e-3, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return keras_fit(model, *examples(shape, outputs, batch * steps), batch)


def keras_hub(shape, outputs, batch, steps, vocabulary, depth, width, heads):
    """KerasHub's BERT with a layer for the classes, AdamW."""
    import keras

    body = imported("keras_hub", "KerasHub").models.BertBackbone(
        vocabulary_size=vocabulary,
        num_layers=depth,
        num_heads=heads,
        hidden_dim=width,
        intermediate_dim=4 * width,
        max_sequence_length=shape[0],
    )
    answer = keras.layers.Dense(outputs, "softmax")(keras.layers.Dropout(0.1)(body.output["pooled_output"]))
    model = keras.Model(body.input, answer)
    optimizer = keras.optimizers.AdamW(1e-4, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = examples(shape, outputs, batch * steps, vocabulary)
    return keras_fit(model, {"token_ids": x, "segment_ids": 0 * x, "padding_mask": 0 * x + 1}, y, batch)


def torch_loop(model, optimizer, x, y, batch, clip=None):
    """The loop that every tutorial of PyTorch has."""
    import os

    import torch

    torch.set_num_threads(1 if CPU_TIME else os.cpu_count())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, loss = model.to(device), torch.nn.CrossEntropyLoss()
    x, y = x.to(device), torch.as_tensor(y, dtype=torch.long, device=device)

    def run():
        start, total = clock(), 0.0
        model.train()
        for index in range(0, len(y), batch):
            optimizer.zero_grad()
            error = loss(model(x[index : index + batch]), y[index : index + batch])
            error.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            total += error.detach()  # a number each step would wait for a GPU
        float(total)
        return clock() - start

    return run


def torch_module():
    return imported("torch", "PyTorch")


def torch_mlp(shape, outputs=10, batch=64, steps=32):
    """Two layers of 128 units with dropout, Adam."""
    torch = torch_module()
    nn = torch.nn
    layers, size = [], shape[0]
    for _ in range(2):
        layers += [nn.Linear(size, 128), nn.ReLU(), nn.Dropout(0.2)]
        size = 128
    model = nn.Sequential(*layers, nn.Linear(size, outputs))
    x, y = examples(shape, outputs, batch * steps)
    return torch_loop(model, torch.optim.Adam(model.parameters()), torch.as_tensor(x), y, batch)


def torch_cnn(shape, outputs=10, batch=64, steps=32, width=32, kernel=3, units=128):
    """The layers of `cnn`: convolution, batch normalisation, pooling, ReLU, twice; a dense layer; Adam."""
    torch = torch_module()
    nn = torch.nn
    layers, channels = [], shape[-1]
    for filters in (width, 2 * width):
        convolution = nn.Conv2d(channels, filters, kernel, padding="same", bias=False)
        layers += [convolution, nn.BatchNorm2d(filters), nn.MaxPool2d(2), nn.ReLU()]
        channels = filters
    size = channels * (shape[0] // 4) * (shape[1] // 4)
    layers += [nn.Flatten(), nn.Dropout(0.25), nn.Linear(size, units), nn.ReLU(), nn.Dropout(0.25)]
    model = nn.Sequential(*layers, nn.Linear(units, outputs)).to(memory_format=torch.channels_last)
    x, y = examples(shape, outputs, batch * steps)
    return torch_loop(model, torch.optim.Adam(model.parameters()), torch_images(x), y, batch)


def torch_images(x):
    """-1..1, channels last in memory."""
    torch = torch_module()
    x = torch.as_tensor(x).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def torch_resnet(shape, outputs=10, batch=64, steps=32, depth=50, width=64, small=False):
    """The network of He et al., 2015, table 1, with the stride in the 3x3 convolution; Nesterov's SGD."""
    torch = torch_module()
    nn = torch.nn

    def norm(inputs, filters, size, stride=1):
        convolution = nn.Conv2d(inputs, filters, size, stride, padding=size // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(filters))

    class Block(nn.Module):
        def __init__(self, inputs, filters, stride):
            super().__init__()
            wide = filters if depth < 50 else 4 * filters
            sizes = [(inputs, filters, 3, stride), (filters, filters, 3, 1)]
            if depth >= 50:
                sizes = [(inputs, filters, 1, 1), (filters, filters, 3, stride), (filters, wide, 1, 1)]
            steps = [step for size in sizes for step in (norm(*size), nn.ReLU(inplace=True))][:-1]
            self.residual = nn.Sequential(*steps)
            same = stride == 1 and inputs == wide
            self.shortcut = nn.Identity() if same else norm(inputs, wide, 1, stride)

        def forward(self, x):
            return nn.functional.relu(self.residual(x) + self.shortcut(x), inplace=True)

    stem = [norm(shape[-1], width, 3 if small else 7, 1 if small else 2), nn.ReLU(inplace=True)]
    stem += [] if small else [nn.MaxPool2d(3, 2, 1)]
    blocks, channels = [], width
    for stage, count in enumerate({18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]):
        for index in range(count):
            blocks.append(Block(channels, width * 2**stage, 2 if stage and not index else 1))
            channels = width * 2**stage * (1 if depth < 50 else 4)
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))
    model = model.to(memory_format=torch.channels_last)
    x, y = examples(shape, outputs, batch * steps)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-3)
    return torch_loop(model, optimizer, torch_images(x), y, batch, clip=1.0)


def torch_lstm(shape, outputs=10, batch=64, steps=32, width=128, cell="LSTM"):
    """One recurrent layer, dropout, a dense layer on the last step; Adam."""
    torch = torch_module()

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = getattr(torch.nn, cell)(shape[-1], width, batch_first=True)
            self.dropout, self.answer = torch.nn.Dropout(0.2), torch.nn.Linear(width, outputs)

        def forward(self, x):
            return self.answer(self.dropout(self.cell(x)[0][:, -1]))

    model = Recurrent()
    x, y = examples(shape, outputs, batch * steps)
    return torch_loop(model, torch.optim.Adam(model.parameters()), torch.as_tensor(x), y, batch, clip=1.0)


def hugging_face(shape, outputs, batch, steps, vocabulary, depth, width, heads):
    """Hugging Face's BERT for sequences, AdamW."""
    torch = torch_module()
    transformers = imported("transformers", "transformers")
    bert = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            max_position_embeddings=shape[0],
            num_labels=outputs,
        )
    )

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert

        def forward(self, x):
            return self.bert(input_ids=x).logits

    x, y = examples(shape, outputs, batch * steps, vocabulary)
    optimizer = torch.optim.AdamW(bert.parameters(), 1e-4)
    return torch_loop(Logits(), optimizer, torch.as_tensor(x, dtype=torch.long), y, batch, clip=1.0)


ROWS = {"shape": (64,), "steps": 256}
DIGITS = {"shape": (28, 28, 1), "steps": 64}
SMALL = {"shape": (32, 32, 3), "steps": 8}
LARGE = {"shape": (64, 64, 3), "batch": 32, "steps": 2}
SERIES = {"shape": (128, 32), "steps": 32}
TOKENS = {"shape": (128,), "outputs": 2, "batch": 16, "steps": 4, "vocabulary": 2000}
BERT = {"depth": 4, "width": 256, "heads": 4}
#: One learning rate, as the peers have it, and gradients clipped where they are clipped by default.
PLAIN = {"schedule": "constant", "warmup": 0.0}
CLIPPED = PLAIN | {"clip_norm": 1.0}
SGD = CLIPPED | {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 5e-3}


@case("mlp step", "`fit` of the same layers in plain Keras")
def mlp_keras():
    """Two layers of 128 units on 64 features, batch 64, Adam."""
    return Side(ours, name="mlp", **ROWS), Side(plain_keras, name="mlp", **ROWS)


@case("mlp step, PyTorch", "the same network in PyTorch")
def mlp_torch():
    """Two layers of 128 units on 64 features, batch 64, Adam."""
    return Side(ours, name="mlp", **ROWS), Side(torch_mlp, **ROWS)


@case("cnn step", "`fit` of the same layers in plain Keras")
def cnn_keras():
    """The default network on 28x28 pixels, batch 64, Adam."""
    return Side(ours, name="cnn", **DIGITS, **PLAIN), Side(plain_keras, name="cnn", **DIGITS)


@case("cnn step, PyTorch", "the same network in PyTorch")
def cnn_torch():
    """32 and 64 filters of 3x3, 128 units on 28x28 pixels, batch 64, Adam."""
    sizes = {"width": 32, "units": 128}
    return Side(ours, name="cnn", kernel_size=3, **sizes, **DIGITS, **PLAIN), Side(torch_cnn, **sizes, **DIGITS)


@case("resnet 18 step, PyTorch", "the same network in PyTorch")
def resnet18_torch():
    """Depth 18, width 16, on 32x32 pixels, batch 64, SGD."""
    sizes = {"depth": 18, "width": 16}
    return Side(ours, name="resnet", **sizes, **SMALL, **SGD), Side(torch_resnet, small=True, **sizes, **SMALL)


@case("resnet 50 step", "`keras.applications.ResNet50`")
def resnet50_keras():
    """ResNet-50 on 64x64 pixels, batch 32, SGD."""
    return Side(ours, name="resnet", depth=50, stem="imagenet", **LARGE, **SGD), Side(keras_applications, **LARGE)


@case("resnet 50 step, PyTorch", "the same network in PyTorch")
def resnet50_torch():
    """ResNet-50 on 64x64 pixels, batch 32, SGD."""
    return Side(ours, name="resnet", depth=50, stem="imagenet", **LARGE, **SGD), Side(torch_resnet, **LARGE)


@case("recurrent step, PyTorch", "`torch.nn.LSTM`")
def lstm_torch():
    """An LSTM of 128 units on 128 steps of 32 features, batch 64, Adam."""
    return Side(ours, name="recurrent", cell="lstm", width=128, **SERIES, **CLIPPED), Side(torch_lstm, **SERIES)


@case("recurrent step with GRU, PyTorch", "`torch.nn.GRU`")
def gru_torch():
    """A GRU of 128 units on 128 steps of 32 features, batch 64, Adam."""
    mine = Side(ours, name="recurrent", cell="gru", width=128, **SERIES, **CLIPPED)
    return mine, Side(torch_lstm, cell="GRU", **SERIES)


def encoder():
    settings = CLIPPED | {"optimizer": "adamw", "positions": "learned", "pooling": "first"}
    return Side(ours, name="transformer_encoder", **TOKENS, **BERT, **settings)


@case("transformer_encoder step", "KerasHub's BERT of the same size")
def encoder_keras_hub():
    """4 layers, width 256, 4 heads, on 128 tokens, batch 16, AdamW."""
    return encoder(), Side(keras_hub, **TOKENS, **BERT)


@case("transformer_encoder step, PyTorch", "Hugging Face's BERT of the same size")
def encoder_hugging_face():
    """4 layers, width 256, 4 heads, on 128 tokens, batch 16, AdamW."""
    return encoder(), Side(hugging_face, **TOKENS, **BERT)


if __name__ == "__main__":
    main()
