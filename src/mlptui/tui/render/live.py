"""The live view of a run: values to lines."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlptui.core import text
from mlptui.core.events import Event, Kind, score_name, score_short, sentence
from mlptui.core.series import Series
from mlptui.core.status import Status, Verdict
from mlptui.tui.render import chart
from mlptui.tui.render.cells import BAD, DIM, GOOD, PLAIN, STRONG, WARN, Glyphs, Line, bar, fit, panel, rule, spread, wrapped
from mlptui.tui.render.words import status

WIDE = 120
MOST_LINES = 3


@dataclass(frozen=True)
class Progress:
    """Where a run stands; times in seconds, `newest` the age of the newest data."""

    step: int = 0
    steps: int | None = None
    steps_per_epoch: int | None = None
    epochs: int = 0
    rate: float | None = None
    samples_per_second: float | None = None
    steps_per_second: float | None = None
    elapsed: float = 0.0
    newest: float | None = None
    device: str = ""
    load: str = ""
    checkpoint: str = ""
    doing: str = ""
    trouble: str = ""
    note: str = ""
    exact: bool | None = None
    test_accuracy: float | None = None
    score: str = "accuracy"


@dataclass(frozen=True)
class Picture:
    """All that the live view shows."""

    name: str
    verdict: Verdict
    progress: Progress
    loss: Series
    recent: Sequence[float] = ()
    epochs: Sequence[Event] = ()
    events: Sequence[Event] = ()
    reading: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    log: bool = False


def draw(picture: Picture, cells: int, rows: int, glyphs: Glyphs, focused: bool = True) -> list[Line]:
    """The view in exactly `rows` lines of `cells` cells; from 120 cells on the events stand in a column of their own."""
    wide = cells >= WIDE
    side = min(60, cells // 3) if wide else 0
    main = cells - side
    body = _body(picture, main - 4, rows - 2, glyphs, wide)
    fact: Line = [status(picture.verdict.status, glyphs)]
    if picture.progress.newest is not None and picture.verdict.status.live:
        fact.append((f" · newest {text.age(picture.progress.newest)}", DIM))
    left = panel(picture.name, fact, body, (main, rows), glyphs, focused)
    if not wide:
        return left
    told = [e for e in picture.events if _is_news(e)]
    right = panel("events", [(str(len(told)), DIM)], [_event(e) for e in told[-(rows - 2) :]], (side, rows), glyphs)
    return [[*a, *b] for a, b in zip(left, right, strict=True)]


def _body(picture: Picture, cells: int, rows: int, glyphs: Glyphs, wide: bool) -> list[Line]:
    notes = [line for note in _notes(picture) for line in _lines(note, cells)]
    foot = [rule(), _bar(picture, cells, glyphs), _facts(picture, cells)]
    events = [] if wide else [_event(e) for e in picture.events[-(1 if rows < 20 else 2) :]]
    table_rows = max(1, min(len(picture.epochs), 3 if rows < 24 else (rows - 14) // 3))
    table = [rule("epochs"), [(_header(picture.progress.score), DIM)], *(_epoch(e) for e in picture.epochs[-table_rows:])]
    if not picture.epochs:
        none = "the first epoch is not over yet" if picture.verdict.status.live else "no epoch was finished"
        table = [rule("epochs"), [(_header(picture.progress.score), DIM)], [(none, DIM)]]
    used = 1 + 1 + len(notes) + len(table) + len(foot) + len(events)
    curve = chart.curve(picture.loss, cells, max(2, rows - used), glyphs, picture.log)
    recent: Line = [
        (chart.ramp(list(picture.recent), max(1, cells - 14), glyphs).ljust(cells - 14), "curve"),
        (f" last {len(picture.recent)} s".rjust(14) if picture.recent else "", DIM),
    ]
    return [_numbers(picture, cells), *notes, *curve, recent, *table, *foot, *events]


def _lines(note: Line, cells: int) -> list[Line]:
    """A note in as many lines as it needs, but not many: a reason must be readable to its remedy."""
    if len(note) != 1:
        return [note]
    said, role = note[0]
    return [[(line, role)] for line in wrapped(said, cells)[:MOST_LINES]]


def _numbers(picture: Picture, cells: int) -> Line:
    loss = picture.loss
    if not loss.last_step:
        waiting = picture.progress.doing or "waiting for the first step"
        return [(waiting if picture.verdict.status.live else "no step was trained", PLAIN)]
    best = f"{text.loss(loss.best)} at step {loss.best_step:,}" if loss.best_step else "-"
    line: Line = [
        ("train loss ", DIM),
        (f"{text.loss(loss.last):<8}", STRONG if loss.last - loss.last == 0 else BAD),
        (" smoothed ", DIM),
        (f"{text.loss(loss.smoothed):<8}", PLAIN),
        (" best ", DIM),
        (best, PLAIN),
    ]
    if picture.log:
        line.append(("  log scale", DIM))
    return fit(line, cells)


def _notes(picture: Picture) -> list[Line]:
    """Bars of one line that are there only when something needs to be known."""
    notes: list[Line] = []
    verdict, progress = picture.verdict, picture.progress
    if verdict.status is Status.KILLED:
        saved = f"last good checkpoint {progress.checkpoint}" if progress.checkpoint else "no checkpoint yet"
        notes.append([(f"stopped: {verdict.reason} at step {progress.step:,}; {saved}; ", BAD), (_go_on(picture), STRONG)])
    elif verdict.reason and verdict.status is not Status.STARTING:
        role = DIM if verdict.status in (Status.FINISHED, Status.STOPPED) else WARN if verdict.status.live else BAD
        line: Line = [(text.safe(verdict.reason, 300), role)]
        if verdict.status.resumable:
            line += [("; ", role), (_go_on(picture), STRONG)]
        notes.append(line)
    if picture.loss.first_gap is not None:
        notes.append([(f"! the loss was not finite at step {picture.loss.first_gap:,}", BAD)])
    if progress.trouble:
        notes.append([(f"storage: {text.safe(progress.trouble, 200)}", WARN)])
    if picture.reading:
        notes.append([(picture.reading, DIM)])
    if progress.note:
        notes.append([(progress.note, WARN)])
    return notes


def _go_on(picture: Picture) -> str:
    return f"{picture.keys.get('resume', 'r')} resumes it"


def _header(score: str) -> str:
    short = score_short(score)
    return f"epoch  train loss  valid loss{f'train {short}':>11}{f'valid {short}':>11}  samples/s     time"


def _epoch(event: Event) -> Line:
    speed, name = event.number("samples_per_second"), score_name(event)
    numbers = (
        f"{event.number('epoch') or 0:>5.0f}"
        f"  {text.loss(event.number('train_loss')):>10}  {text.loss(event.number('valid_loss')):>10}"
        f"  {text.score(event.number('train_accuracy'), name):>9}  {text.score(event.number('valid_accuracy'), name):>9}"
        f"  {text.count(round(speed) if speed and math.isfinite(speed) else None):>9}"
        f"  {text.duration(event.number('seconds')):>7}"
    )
    return [(numbers, PLAIN)]


def _bar(picture: Picture, cells: int, glyphs: Glyphs) -> Line:
    progress = picture.progress
    if not progress.steps or not progress.steps_per_epoch:
        return [(progress.doing or ("not started yet" if picture.verdict.status.live else "it never started"), DIM)]
    per = progress.steps_per_epoch
    epoch = min(progress.epochs, progress.step // per + 1)
    share = progress.step / progress.steps
    in_epoch = 1.0 if progress.step >= progress.steps else progress.step % per / per
    left = f"epoch {epoch}/{progress.epochs} {in_epoch:>4.0%}  "
    eta = ""
    if picture.verdict.status is Status.RUNNING and progress.steps_per_second:
        eta = f"ETA {text.duration((progress.steps - progress.step) / progress.steps_per_second)}"
    right = f" {share:>4.0%} of the run  {eta:<14}"
    return [(left, PLAIN), (bar(share, max(4, cells - len(left) - len(right)), glyphs), GOOD), (right, PLAIN)]


def _facts(picture: Picture, cells: int) -> Line:
    progress = picture.progress
    speed = progress.samples_per_second
    left: Line = [
        (f"lr {text.rate(progress.rate)}", PLAIN),
        (f"   {text.count(round(speed)) if speed else '-'} samples/s", PLAIN),
        (f"   {text.duration(progress.elapsed)}", PLAIN),
    ]
    if progress.test_accuracy is not None:
        left.append((f"   test {progress.score} {text.score(progress.test_accuracy, progress.score)}", STRONG))
    if progress.exact is not None:
        left.append(("   resume exact" if progress.exact else "   resume not bit-exact", GOOD if progress.exact else WARN))
    return spread(left, [(f"{progress.device} {progress.load}".strip(), DIM)], cells)


def _is_news(event: Event) -> bool:
    """Whether the event column tells it: epochs stand in their table, and a learning rate's answer names the change."""
    return event.kind not in (Kind.EPOCH, Kind.KNOB)


def _event(event: Event) -> Line:
    stamp = time.strftime("%H:%M:%S", time.localtime(event.wall))
    bad = event.kind in (Kind.FAILED, Kind.DIVERGED, Kind.CHECKPOINT_FAILED, Kind.CHECKPOINT_DAMAGED)
    return [(stamp + " ", DIM), (sentence(event), BAD if bad else PLAIN)]
