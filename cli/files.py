"""`cookbook check`: what a model file is, and whether it can be loaded without harm."""

import json

import click

from .commands import JSON, main


@main.command()
@click.argument("file")
@click.option("--sha256", metavar="HEX", help="The digest that the file must have, 64 hexadecimal digits.")
@JSON
@click.pass_context
def check(context, file, sha256, as_json):
    """Tell what the model FILE (.keras) is, or why it must not be loaded.

    Nothing of it is loaded or run. A file that is refused ends the command with the exit code 1.
    """
    from keras_cookbook.recipes.saving import RefusedFile, check_file
    from keras_cookbook.recipes.saving.refusal import printable

    try:
        found = check_file(file, sha256)
    except RefusedFile as error:
        if not as_json:
            raise
        click.echo(json.dumps({"safe": False, "path": str(error.path), "reason": error.reason, "detail": error.detail}))
        context.exit(1)
    if as_json:
        click.echo(json.dumps({"safe": True} | found.to_dict()))
        return
    click.echo(f"{file} is safe to load.\n")
    for name, value in rows(found):
        click.echo(f"{name:<12} {printable(str(value))}")


def rows(found):
    """What is told of a model file, by name."""
    from keras_cookbook.recipes.saving.files import versions

    recipe = found.recipe or {}
    if recipe:
        yield "recipe", recipe.get("name")
        for part in ("arguments", "training"):
            if isinstance(recipe.get(part), dict):
                yield part, ", ".join(f"{name}={value!r}" for name, value in recipe[part].items())
        yield "seed", recipe.get("seed")
    yield "saved by", ", ".join(f"{name} {there}" for name, there, _ in versions(found) if there)
    yield "saved", found.saved
    yield "classes", ", ".join(found.classes)
    yield "numbers", f"{found.numbers:,}"
    yield "size", f"{found.size:,} bytes"
    yield "sha256", found.sha256
