"""What one data set holds: pictures or rows, facts, and what the next run does with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from textual.message import Message

from mlptui.tui import keys
from mlptui.tui.desk import host
from mlptui.tui.form_state import FormState
from mlptui.tui.messages import Noticed
from mlptui.tui.render import data, pictures
from mlptui.tui.render.cells import DIM, PLAIN, WARN, Glyphs, Line, fit, panel, wrapped
from mlptui.tui.render.data import FactSheet, Knob, SetRow
from mlptui.tui.render.pictures import Sample
from mlptui.tui.set_view import OneSet
from mlptui.tui.widgets.canvas import Canvas

WIDE = 92
FACTS = 44
THUMBS = ((28, 14), (20, 10), (14, 7), (12, 6))
HINTS = {
    "damaged": "d downloads it again, i imports it from a folder",
    "added": "Its files are where they were. d decodes them now, otherwise the first run does; then there is more to see.",
}
KNOBS = ("data.validation", "data.normalise", "data.shift", "data.flip", "data.crop")
FEWEST = 6


@dataclass
class Shown:
    """What was computed for the present view, and for which state."""

    key: Any = None
    samples: list[Sample] = field(default_factory=list)
    after: list[Sample] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    total: int = 0
    plot: data.Plot | None = None
    table: data.Table | None = None


class ViewChanged(Message):
    """Other keys do something now."""


class LookCanvas(Canvas, can_focus=True):
    BINDINGS = keys.bindings(keys.LOOK)
    DEFAULT_CSS = "LookCanvas { height: 1fr; width: 1fr; }"

    def __init__(self, form: FormState, changed: Callable[[], None]) -> None:
        super().__init__(id="look")
        self.form, self._form_changed = form, changed
        self.row: SetRow | None = None
        self.one: OneSet | None = None
        self.view = "facts"
        self.test, self.label, self.at, self.large, self.epoch, self.knob, self.skipped, self.scroll = (
            False, None, 0, False, 0, 0, 0, 0,
        )  # fmt: skip
        self._shown = Shown()
        self._sheet: tuple[FactSheet | None, int, list[Line]] = (None, 0, [])
        self._wish = ""  # the view that a person went to; without one the first of each set

    # which set

    def show_set(self, row: SetRow, one: OneSet | None) -> None:
        """Another set, or another state of the same one."""
        other = self.row is None or self.row.name != row.name
        self.row = row
        if other:
            self.test, self.label, self.at, self.large, self.epoch, self.skipped, self.scroll = False, None, 0, False, 0, 0, 0
            self._shown = Shown()
        if one is not self.one or other:
            self.one = one if one is None or one.name == row.name else None
            wanted = self._wish if self._wish in self.views else self.views[0]
            if self.one and self.view != wanted:
                self.view = wanted
                self.post_message(ViewChanged())
            self._shown.key = None
        self._refresh()

    @property
    def views(self) -> tuple[str, ...]:
        one = self.one
        if one is None or one.data is None:
            return ("facts",)
        if len(one.facts.shape) == 3:
            return ("pictures", "facts", "run")
        return ("plot", "rows", "facts", "run") if one.facts.shape == (2,) else ("rows", "facts", "run")

    # geometry: the same for drawing and for what is computed

    def _main(self, width: int) -> int:
        """Cells inside the panel for the present view; the facts stand beside it where there is room."""
        inner = width - 4
        return inner - FACTS - 2 if self._beside(width) else inner

    def _beside(self, width: int) -> bool:
        return width >= WIDE and self.view != "facts"

    def _thumb(self, cells: int, rows: int) -> tuple[int, int]:
        for wide, high in THUMBS:
            if pictures.per_row(cells, wide) * (rows // (high + 1)) >= FEWEST:
                return wide, high
        return THUMBS[-1]

    def _page(self, cells: int, rows: int) -> int:
        wide, high = self._thumb(cells, rows)
        return max(1, pictures.per_row(cells, wide) * max(1, rows // (high + 1)))

    def _room(self) -> tuple[int, int]:
        going = self._going(self._main(self.size.width)) if self.row else []
        return max(12, self._main(self.size.width)), max(4, self.size.height - 3 - len(going))

    # drawing

    def draw(self, width: int, height: int) -> list[Line]:
        row, one = self.row, self.one
        if row is None:
            return panel("", [], [[], [("no data set", DIM)]], (width, height), self.glyphs, self.has_focus)
        cells = self._main(width)
        body = self._going(cells)
        if one is None:
            body += [[("opening ...", DIM)]]
        else:
            body += [[(line, WARN)] for line in wrapped(one.problem, cells)] if one.problem else []
            body += [[(line, DIM)] for line in wrapped(HINTS.get(row.state, ""), cells)] if row.state in HINTS else []
            body += self._view(one, cells, height - 2 - len(body))
            if self.view in ("pictures", "rows") and not self._beside(width) and height - 2 - len(body) > 2:
                body += [[], *data.facts(FactSheet(one.sheet.pairs), cells, self.glyphs)]
        if self._beside(width) and one is not None:
            sheet = self._facts(one.sheet, FACTS)
            rows = height - 2
            left, right = ([*b, *[[]] * (rows - len(b))][:rows] for b in (body, sheet))
            body = [[*fit(a, cells), ("  ", PLAIN), *b] for a, b in zip(left, right, strict=True)]
        return panel(row.name, data.views(self.views, self.view), body, (width, height), self.glyphs, self.has_focus)

    def _facts(self, sheet: FactSheet, cells: int) -> list[Line]:
        """Lines of a sheet that may have thousands of columns, made once."""
        if self._sheet[:2] != (sheet, cells):
            self._sheet = (sheet, cells, data.facts(sheet, cells, self.glyphs))
        return self._sheet[2]

    def _going(self, cells: int) -> list[Line]:
        if self.row is None or self.row.going is None:
            return []
        lines = data.going(self.row.going, cells, self.glyphs)
        hint = "c cancels it" if not self.row.going.error else "d tries again, i imports from a folder, esc puts this away"
        return [*lines, *([(line, DIM)] for line in wrapped(hint, cells)), []]

    def _view(self, one: OneSet, cells: int, rows: int) -> list[Line]:
        shown, glyphs = self._shown, self.glyphs
        if self.view == "facts":
            lines = self._facts(one.sheet, cells)
            self.scroll = max(0, min(self.scroll, len(lines) - rows))
            shown_lines = lines[self.scroll : self.scroll + rows]
            if self.scroll + rows < len(lines):
                shown_lines[-1] = [("... j and pgdn show more", DIM)]
            return shown_lines
        if self.view == "run":
            return self._run_view(cells, rows)
        head: Line = [("  ".join(shown.words[:1]), DIM)]
        if self.view == "plot" and shown.plot:
            return [head, *data.plot(shown.plot, cells, glyphs)]
        if self.view == "rows" and shown.table:
            return [head, *data.table(shown.table, cells, glyphs, self._place(), self.has_focus)]
        if self.view == "pictures" and shown.samples:
            if self.large:
                return [head, *pictures.enlarged(shown.samples[0], shown.words[1:], glyphs, cells)]
            return [
                head,
                *pictures.grid(shown.samples, self._place(), self._thumb(cells, rows - 1), cells, glyphs, self.has_focus),
            ]
        return [[("..." if not shown.words else shown.words[0], DIM)]]

    def _run_view(self, cells: int, rows: int) -> list[Line]:
        known = self._knobs()
        self.knob = min(self.knob, len(known) - 1)
        lines = data.knobs(known, self.knob, cells, self.glyphs, self.has_focus)
        shown = self._shown
        if shown.words:
            lines += [[], *([(line, DIM)] for line in wrapped(shown.words[0], cells))]
        if shown.samples:
            size = self._preview_size(cells, rows - len(lines))
            lines += data.preview(shown.samples, shown.after, size, cells, self.glyphs)
        return lines

    def _preview_size(self, cells: int, rows: int) -> tuple[int, int]:
        fits = [t for t in THUMBS if 2 * t[1] + 1 <= rows and pictures.per_row(cells, t[0]) >= 2]
        return fits[0] if fits else THUMBS[-1]

    def _place(self) -> int:
        return self.at % max(1, self._count())

    def _count(self) -> int:
        """Samples on a page."""
        cells, rows = self._room()
        return self._page(cells, rows - 1) if self.view == "pictures" else max(1, rows - 2)

    def _knobs(self) -> list[Knob]:
        fields = {f.path: f for f in self.form.fields}
        pictured = self.one is not None and len(self.one.facts.shape) == 3
        paths = KNOBS if pictured else KNOBS[:2]
        return [Knob(fields[p].label, self.form.text(p), fields[p].help, p in self.form.texts) for p in paths]

    # what is computed, in a background thread

    def _refresh(self) -> None:
        """Compute what the view needs where that changed, and draw what is there."""
        if self.is_mounted and self.size.width > 0:
            self._compute()
        self.redraw()

    def _state(self) -> Any:
        one = self.one
        page = 0 if self.view in ("plot", "run") else self.at if self.large else self.at - self._place()
        knobs = tuple(k.value for k in self._knobs()) if self.view == "run" else ()
        seed = self.form.text("seed") if self.view == "run" else ""
        return (
            one.name if one else "", id(one), self.view, self.test, self.label, page, self.large, self.epoch, self.skipped,
            self._room(), knobs, seed,
        )  # fmt: skip

    def _compute(self) -> None:
        one = self.one
        if one is None or one.data is None or self.view == "facts":
            return
        state = self._state()
        if state == self._shown.key:
            return
        work = self._work(one, state)

        def done(shown: Shown | None, error: Exception | None) -> None:
            if error:
                self._shown = Shown(state, words=[f"cannot be shown: {error}"])
            elif shown is not None and one is self.one:
                self._shown = shown
                self.at = max(0, min(self.at, shown.total - 1)) if shown.total else self.at
            if self.is_mounted:
                self._refresh()

        host(self).background["samples"].submit(work, done)  # busy: asked again when that is done

    def _work(self, one: OneSet, state: Any) -> Callable[[], Shown]:
        view, test, label, at, large, skipped = self.view, self.test, self.label, self.at, self.large, self.skipped
        (cells, rows), page, glyphs = self._room(), self._count(), self.glyphs
        thumb = self._thumb(cells, rows - 1)
        texts = {p: self.form.text(p) for p in (*KNOBS, "seed")}
        epoch = self.epoch
        preview = self._preview_size(cells, rows - len(self._knobs()) - 7)

        def work() -> Shown:
            from mlptui.tui import samples

            if view == "run":
                return _preview(one.data, texts, epoch, preview, cells, state)
            chosen = samples.of_class(one.data, test, label, mixed=view == "pictures")
            total = len(chosen)
            place = max(0, min(at, total - 1))
            first = place - place % page
            part = "test" if test else "training"
            which = f"{part}, {one.facts.classes[label]}" if label is not None else part
            order = ", mixed" if view == "pictures" and label is None else ""
            head = f"{which}: {first + 1:,} to {min(total, first + page):,} of {total:,}{order}"
            if view == "plot":
                size = (max(8, cells - 9), max(4, rows - 4))
                return Shown(
                    state,
                    words=[
                        f"{part}: {total:,} points"
                        + (f", {samples.MOST_POINTS:,} of them" if total > samples.MOST_POINTS else "")
                    ],
                    plot=samples.plot(one.data, test, size),
                )
            if not total:
                return Shown(state, words=[f"{which}: no samples"])
            if view == "rows":
                table = samples.table(one.data, test, chosen[first : first + page], skipped)
                return Shown(state, words=[head], total=total, table=table)
            if large:
                index = int(chosen[place])
                size = _large_size(cells, rows - 3, one.facts.shape, glyphs)
                facts = samples.pixel_facts(one.data, test, index)
                return Shown(
                    state, samples.pictures(one.data, test, chosen[place : place + 1], size), [], [head, *facts], total
                )
            return Shown(state, samples.pictures(one.data, test, chosen[first : first + page], thumb), [], [head], total)

        return work

    # keys

    def action_view(self, by: int) -> None:
        views = self.views
        place = views.index(self.view) if self.view in views else 0
        self.view = self._wish = views[(place + by) % len(views)]
        self.post_message(ViewChanged())
        self.large = False
        self._shown = Shown()
        self._refresh()

    def action_enlarge(self) -> None:
        if self.view == "pictures":
            self.large = not self.large
            self._refresh()
        elif self.view == "run":
            self.post_message(Noticed("← and → change it; the form of area 4 takes any value"))
        else:
            self.post_message(Noticed("enter enlarges pictures; here space goes to the next view"))

    def action_back(self) -> None:
        if self.large:
            self.action_enlarge()
        else:
            self.screen.query_one("#catalog").focus()

    def action_label(self, by: int) -> None:
        one = self.one
        if one is None or one.data is None or not one.facts.classes or self.view not in ("pictures", "rows"):
            return
        steps = [None, *range(len(one.facts.classes))]
        self.label = steps[(steps.index(self.label) + by) % len(steps)]
        self.at = 0
        self._refresh()

    def action_part(self) -> None:
        self.test, self.at = not self.test, 0
        self._refresh()

    def action_again(self) -> None:
        if self.view == "run":
            self.epoch += 1
            self._refresh()

    def action_turn(self, by: int) -> None:
        if self.view == "run":
            self._turn_knob(by)
        elif self.view == "rows" and self.one:
            self.skipped = max(0, min(self.skipped + by, len(self.one.facts.columns) - 1))
            self._refresh()
        else:
            self._move(by)

    def _turn_knob(self, by: int) -> None:
        path = KNOBS[min(self.knob, len(self._knobs()) - 1)]
        text = self.form.turned(path, by)
        if text is None:
            self.post_message(Noticed("the form of the training screen takes any value"))
            return
        self.form.set(path, text)
        self._form_changed()
        self._refresh()

    def action_move(self, by: int) -> None:
        if self.view == "run":
            self.knob = max(0, min(self.knob + by, len(self._knobs()) - 1))
            self.redraw()
        elif self.view == "facts":
            self.scroll = max(0, self.scroll + by)
            self.redraw()
        elif self.view == "pictures" and not self.large and abs(by) == 1:
            cells, rows = self._room()
            self._move(by * pictures.per_row(cells, self._thumb(cells, rows - 1)[0]))
        else:
            self._move(by)

    def action_move_page(self, by: int) -> None:
        if self.view == "facts":
            self.action_move(by * max(1, self.size.height - 4))
        elif self.view != "run":
            self._move(by * (1 if self.large else self._count()))

    def _move(self, by: int) -> None:
        self.at = max(0, min(self.at + by, max(0, self._shown.total - 1)))
        self._refresh()

    def on_resize(self, event: object) -> None:
        self._strips = []
        self._refresh()


def _large_size(cells: int, rows: int, shape: tuple[int, ...], glyphs: Glyphs) -> tuple[int, int]:
    """Room for one picture: whole factors of its own size, beside its facts where that is possible."""
    width = shape[2]
    room = cells - 28 if cells - 28 >= width or cells >= 80 else cells
    return max(8, room), max(4, rows)


def _preview(one: Any, texts: dict[str, str], epoch: int, size: tuple[int, int], cells: int, state: Any) -> Shown:
    """What the network gets of a few pictures, or what the split leaves of a table."""
    from mlptui.datasets.augment import Augmentation
    from mlptui.datasets.split import validation_split
    from mlptui.tui import samples

    try:
        share, seed = float(texts["data.validation"]), int(texts["seed"])
        train, valid = validation_split(len(one.train), min(0.9, max(0.0, share)), seed)
        moved = Augmentation(int(texts["data.shift"]), texts["data.flip"] == "true", float(texts["data.crop"]))
    except ValueError:
        return Shown(state, words=["mend the values in the form first"])
    words = f"{len(train):,} to train on, {len(valid):,} for validation, {len(one.test):,} for the test"
    if len(one.facts.shape) != 3:
        return Shown(state, words=[words])
    count = pictures.per_row(cells, size[0])
    before, after, numbers = samples.seen_by_network(
        one, train[samples.mixture(len(train))[:count]], size, seed, epoch, moved, texts["data.normalise"]
    )
    return Shown(state, before, after, [f"{words}; the network in epoch {epoch + 1}: {numbers}"])
