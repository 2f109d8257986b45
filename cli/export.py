"""`cookbook export`: a model as a file that runs without Keras, compared with the model."""

import json

import click

from .commands import JSON, LOOSE, WORDS, main, quiet


def show_table(context, option, wanted):
    """Prints the table of what can be exported and ends, before other arguments are asked for."""
    if not wanted:
        return
    from keras_cookbook.recipes.saving.supported import table

    with quiet():
        found = table()
    click.echo(found)
    context.exit()


@main.command(context_settings=LOOSE)
@click.argument("file")
@click.argument("path")
@click.argument("words", metavar="[KEY=VALUE]...", **WORDS)
@JSON
@click.option(
    "--table",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_table,
    help="Export every recipe to every format, show what works as the table in the README, and exit.",
)
def export(file, path, words, as_json):
    """Write the model in FILE.keras to PATH as a file that runs without Keras, and compare the two.

    PATH ends in .onnx, in .tflite (LiteRT), or in nothing for a SavedModel. KEY is precision (float32, float16, int8),
    batch_size, unroll or tolerance; part=decoder exports that part of the model; data=SOURCE, with the options of
    `cookbook train`, gives inputs to compare on and, for int8, to calibrate with.
    """
    from keras_cookbook import recipes

    from .options import DATA_OPTIONS, arguments, load_data, parse

    known = ("format", "precision", "batch_size", "unroll", "tolerance", "part", "data", "horizon", *DATA_OPTIONS)
    options = parse(words, known)
    part, source = options.pop("part", None), options.pop("data", None)
    python = f"from keras_cookbook import recipes\n\nmodel = recipes.load({file!r})\n"
    inputs = {}
    if source is not None:
        data, loading = load_data(source, options)
        splits = {"sample": "test" if data.test is not None else "train"}
        splits |= {"calibration": "train"} if options.get("precision") == "int8" else {}
        inputs = {name: getattr(data, split) for name, split in splits.items()}
        python += f"{loading}\n"
        given = "".join(f", {name}=data.{split}" for name, split in splits.items())
    else:
        given = ""
        if unused := [name for name in (*DATA_OPTIONS, "horizon") if name in options]:
            raise ValueError(f"{', '.join(unused)}: an option of the data, of which there are none; give data=SOURCE.")
    model = recipes.load(file)
    network = find_part(model, part)
    name = f"model.{part}" if part else "model"
    python += f"print(recipes.export({name}, {path!r}{arguments(options)}{given}))"
    if not as_json:
        click.echo(f"{python}\n")
    with quiet():
        report = recipes.export(network, path, **options, **inputs)
    click.echo(json.dumps(report.to_dict() | {"python": python}) if as_json else f"{report}\nwritten: {report.path}")


def find_part(model, part):
    """The model that is an attribute of that name; the whole one of none."""
    import keras

    from keras_cookbook.recipes._kinds import among

    if part is None:
        return model
    found = getattr(model, part, None) if part.isidentifier() else None
    if not isinstance(found, keras.Model):
        parts = [name for name in dir(model) if not name.startswith("_") and is_model(model, name)]
        raise ValueError(f"the model has no part {part!r}.{among(part, parts) if parts else ' It has no parts.'}")
    return found


def is_model(model, name):
    import keras

    return isinstance(getattr(model, name, None), keras.Model)
