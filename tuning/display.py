"""What a search shows while it runs: one live panel on a terminal, a line for each trial elsewhere."""

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

#: Rows of the table while the search runs, and at its end.
RUNNING, ENDED = 5, 10


def short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Display:
    """A context; `begin` and `end` frame each trial, and `epoch` is told of its epochs."""

    def __init__(self, search, total, searched, enabled=True):
        self.search, self.searched, self.enabled = search, list(searched), enabled
        self.console = Console()
        terminal = self.console.file.isatty()  # colours may be wanted where there is none
        if not terminal:
            self.console = Console(width=160, color_system=None)  # nothing to fit into
        self.bars = Progress(
            TextColumn("{task.description:>8}"), BarColumn(28), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"), console=self.console,
        )  # fmt: skip
        self.trials = self.bars.add_task("trials", total=total, completed=len(search.trials), note="")
        self.epochs = self.bars.add_task("epochs", total=None, note="")
        live = enabled and terminal
        self.live = Live(console=self.console, transient=True, get_renderable=self.render) if live else None

    def __enter__(self):
        if self.live:
            self.live.start()
        elif self.enabled:
            done = f"; {len(self.search.trials)} trials were run before" if self.search.trials else ""
            print(
                f"Searching {self.search.recipe} on {self.search.data} for the best {self.search.objective}{done}",
                flush=True,
            )
        return self

    def __exit__(self, *_):
        if self.live:
            self.live.stop()
        if self.enabled and self.search.ranked:
            self.console.print(self.table(ENDED))
            self.console.print(self.search.ended)

    def described(self, values):
        """The hyperparameters that vary, in a line."""
        return "  ".join(f"{name}={short(values[name])}" for name in self.searched if name in values)

    def begin(self, values, epochs, seconds_left):
        self.bars.reset(self.epochs, total=epochs, note=self.described(values))
        note = f"{seconds_left / 60:.0f} minutes left" if seconds_left < float("inf") else ""
        self.bars.update(self.trials, note=note)

    def epoch(self, done, score):
        """Is called after each epoch of the trial that runs (of one of them)."""
        if self.live:
            self.bars.update(self.epochs, completed=done)

    def end(self, trial):
        self.bars.advance(self.trials)
        if self.live or not self.enabled:
            return
        values = self.described(trial["values"])
        if trial["status"] == "failed":
            print(f"trial {trial['trial']:>3}  failed: {trial['message']}  {values}", flush=True)
            return
        mark = "*" if self.search.ranked[0] is trial else " "
        print(
            f"trial {trial['trial']:>3}  {self.search.objective} {trial['score']:.4f} {mark} "
            f"{trial['epochs']:>3} epochs  {trial['seconds']:5.1f} s  {values}  {trial['message']}".rstrip(),
            flush=True,
        )

    def render(self):
        title = f"[bold]{self.search.recipe}[/bold] on {self.search.data}, best {self.search.objective}"
        return Group(title, self.bars, self.table(RUNNING) if self.search.ranked else "")

    def table(self, rows):
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("trial", self.search.objective, *self.searched, "epochs", "seconds"):
            table.add_column(name, justify="right", overflow="ellipsis", no_wrap=True)
        for rank, trial in enumerate(self.search.ranked[:rows]):
            cells = [
                trial["trial"],
                f"{trial['score']:.4f}",
                *(short(trial["values"].get(name, "")) for name in self.searched),
            ]
            cells += [trial["epochs"], f"{trial['seconds']:.1f}"]
            table.add_row(*map(str, cells), style="green" if rank == 0 else None)
        return table
