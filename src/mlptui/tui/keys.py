"""The one table of keys: footer, help, palette, remapping and docs are made from it."""

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """An action's name for remapping (`id`), its default keys, what it does, and whether it stands in the last row."""

    id: str
    keys: str
    action: str
    label: str
    help: str
    footer: bool = False
    shown: str = ""

    @property
    def key(self) -> str:
        """The first key as a person reads it."""
        return self.shown or readable(self.keys)


def readable(keys: str) -> str:
    """The first of comma-separated keys in words that fit a footer."""
    first = keys.split(",", maxsplit=1)[0].strip()
    names = {
        "question_mark": "?", "full_stop": ".", "left_square_bracket": "[", "right_square_bracket": "]", "slash": "/",
        "space": "space", "enter": "enter", "escape": "esc", "left": "←", "right": "→", "up": "↑", "down": "↓",
        "exclamation_mark": "!", "less_than_sign": "<", "greater_than_sign": ">", "colon": ":",
    }  # fmt: skip
    return names.get(first, first)


APP = [
    Key("area.data", "1", "area('data')", "Data", "data sets"),
    Key("area.model", "2", "area('model')", "Model", "the network"),
    Key("area.params", "3", "area('params')", "Params", "its parameters"),
    Key("area.train", "4", "area('train')", "Train", "set up a run, watch it live"),
    Key("area.runs", "5", "area('runs')", "Runs", "all runs"),
    Key("area.files", "6", "area('files')", "Files", "checkpoints and files"),
    Key("area.devices", "7", "area('devices')", "Devices", "processor and GPUs"),
    Key("help", "question_mark,f1", "help", "Help", "the keys of the panel in focus", shown="?"),
    Key("palette", "ctrl+p", "command_palette", "Palette", "every action by name; themes", shown="ctrl+p"),
    Key("quit", "q,ctrl+q", "quit", "Quit", "leave the viewer; runs go on", shown="q"),
]
MOVES = [
    Key("move.up", "up,k", "move(-1)", "Up", "one line up", shown="↑ k"),
    Key("move.down", "down,j", "move(1)", "Down", "one line down", shown="↓ j"),
    Key("move.page_up", "pageup", "move_page(-1)", "Page up", "one page up", shown="pgup"),
    Key("move.page_down", "pagedown", "move_page(1)", "Page down", "one page down", shown="pgdn"),
    Key("move.first", "home,g", "move(-1000000)", "First", "to the first line", shown="home"),
    Key("move.last", "end,G", "move(1000000)", "Last", "to the last line", shown="end"),
]
DATA = [
    Key("data.use", "enter", "ask('use')", "Use", "train the next run on this set", footer=True),
    Key("data.download", "d", "ask('download')", "Download", "get this set or go on; anew if it is damaged", footer=True),
    Key("data.view", "space,tab,right,l", "screen.look", "Look", "to the pictures, rows, facts and the next run", footer=True,
        shown="space"),
    Key("data.verify", "v", "ask('verify')", "Verify", "read every byte of it and compare", footer=True),
    Key("data.add", "a", "ask('add')", "Add", "give your own data a name; they stay where they are", footer=True),
    Key("data.cancel", "c", "ask('cancel')", "Cancel", "stop what is being done to this set; what it has is kept"),
    Key("data.import", "i", "ask('bring')", "Import", "take the files of this set from a folder, or a packed set"),
    Key("data.delete", "x", "ask('delete')", "Delete", "delete this set from the data folder; asks once"),
    Key("data.dismiss", "escape", "ask('dismiss')", "Dismiss", "put the outcome of the last work away", shown="esc"),
    *MOVES,
]  # fmt: skip
LOOK = [
    Key("look.view", "space", "view(1)", "View", "pictures or rows, facts, next run", footer=True, shown="space"),
    Key("look.enlarge", "enter", "enlarge", "Enlarge", "one picture with its numbers; again: all", footer=True),
    Key(
        "look.class",
        "right_square_bracket",
        "label(1)",
        "Class",
        "only the next class; [ the one before",
        footer=True,
        shown="[ ]",
    ),
    Key("look.class_before", "left_square_bracket", "label(-1)", "Class before", "only the class before", shown="["),
    Key("look.part", "t", "part", "Test set", "the samples of the test set, or of training again", footer=True),
    Key("look.again", "r", "again", "Next epoch", "what the network sees of these pictures one epoch later"),
    Key("look.back", "escape,tab", "back", "Back", "back to the list", footer=True, shown="esc"),
    Key("look.left", "left,h", "turn(-1)", "Left", "the sample, column or choice before", shown="← h"),
    Key("look.right", "right,l", "turn(1)", "Next", "the next sample, column or choice", shown="→ l"),
    *MOVES,
]
FLOW = [
    Key(
        "flow.next",
        "right_square_bracket",
        "ask('next_sample')",
        "Next sample",
        "the flow of the next one; [ before",
        shown="[ ]",
    ),
    Key(
        "flow.before", "left_square_bracket", "ask('sample_before')", "Sample before", "the flow of the one before", shown="["
    ),
    Key("flow.numbers", "N", "ask('numbers')", "Numbers", "type the numbers that go through the network"),
]
MODEL = [
    Key("model.add", "a", "ask('add')", "Add", "a layer after this one", footer=True),
    Key("model.edit", "e", "ask('edit')", "Text", "the network as text, checked as you type", footer=True),
    Key("model.open", "o", "ask('open')", "Open", "another network: by name, from your own file, torchvision's", footer=True),
    Key("model.input", "i", "ask('input')", "Input", "the shape of what goes in; empty: the data set's", footer=True),
    Key("model.doctor", "d", "ask('doctor')", "Doctor", "one batch on a copy: what is wrong with this network", footer=True),
    Key("model.act", "enter", "enter", "Arguments", "a layer's arguments; a container opens or closes"),
    Key("model.fix", "f", "ask('fix')", "Fix", "do what is proposed for the fault or finding here"),
    Key("model.pane", "tab", "ask('pane')", "Beside", "to the panel beside the tree"),
    Key("model.view", "v", "ask('view')", "View", "the next view beside: layer, source, flow, doctor, text, compare"),
    Key("model.flow", "F", "ask('flow')", "Flow", "one sample through the network, layer by layer"),
    Key("model.undo", "u", "ask('undo')", "Undo", "take the last change back"),
    Key("model.redo", "U,ctrl+r", "ask('redo')", "Redo", "make it again", shown="U"),
    Key("model.delete", "x", "ask('delete')", "Delete", "take this layer out; u brings it back"),
    Key("model.up", "K,shift+up", "ask('up')", "Move up", "before the layer above", shown="K"),
    Key("model.down", "J,shift+down", "ask('down')", "Move down", "behind the layer below", shown="J"),
    Key("model.out", "less_than_sign", "ask('out')", "Move out", "out of its container", shown="<"),
    Key("model.in", "greater_than_sign", "ask('in')", "Move in", "into the container before it", shown=">"),
    Key("model.inside", "A", "ask('inside')", "Add inside", "a layer at the end of this container"),
    Key("model.wrap", "w", "ask('wrap')", "Wrap", "put a Sequential around it"),
    Key("model.duplicate", "c", "ask('duplicate')", "Copy", "a copy after it, with weights of its own"),
    Key("model.rename", "n", "ask('rename')", "Rename", "its name in the state_dict"),
    Key("model.mark", "space", "ask('mark')", "Mark", "the layer that another one is tied to"),
    Key("model.tie", "t", "ask('tie')", "Tie", "the marked layer stands here too: one set of weights"),
    Key("model.untie", "T", "ask('untie')", "Untie", "weights of its own again"),
    Key("model.materialise", "exclamation_mark", "ask('materialise')", "Sizes", "give lazy layers their sizes", shown="!"),
    *FLOW,
    Key("model.compare", "m", "ask('compare')", "Compare", "another network beside this one"),
    Key("model.filter", "slash", "ask('filter')", "Filter", "only layers that match, with what holds them"),
    Key("model.jump", "colon", "ask('jump')", "Go to", "a layer by its path, as net[0][1] or 0.block 1", shown=":"),
    Key("model.depth", "z", "ask('depth')", "Depth", "open one level deeper, then all, then one"),
    Key("model.bench", "b", "ask('bench')", "Bench", "start the bench anew"),
    Key("model.clear", "escape", "ask('clear')", "Clear", "cancel what runs; then clear filter and mark", shown="esc"),
    Key("model.close", "left,h", "fold(True)", "Close", "close the container, or go up to it", shown="← h"),
    Key("model.into", "right,l", "fold(False)", "Open it", "open the container, or go into it", shown="→ l"),
    *MOVES,
]  # fmt: skip
PANE = [
    Key("pane.view", "space,v", "ask('view')", "View", "the next view: layer, source, flow, ...", footer=True, shown="space"),
    Key("pane.act", "enter", "ask('enter')", "Go", "to the layer of this finding, or to the tree", footer=True),
    Key("pane.fix", "f", "ask('fix')", "Fix", "do what is proposed", footer=True),
    Key("pane.undo", "u", "ask('undo')", "Undo", "take the last change back", footer=True),
    Key("pane.back", "escape,tab", "ask('back')", "Back", "back to the tree", footer=True, shown="esc"),
    *FLOW,
    Key("pane.doctor", "d", "ask('doctor')", "Doctor", "examine the network"),
    Key("pane.redo", "U", "ask('redo')", "Redo", "make it again"),
    *MOVES,
]  # fmt: skip
SET = [
    Key("params.edit", "e", "ask('edit')", "Edit", "set values: fill 0, scale 0.5, add 1, copy 2.weight, ...", footer=True),
    Key("params.draw", "i", "ask('draw')", "Initialise", "draw anew by a rule, with a preview before it happens", footer=True),
    Key("params.console", "colon", "ask('console')", "Console", "any path in PyTorch's spelling, to read or to assign",
        footer=True, shown=":"),
    Key("params.freeze", "f", "ask('freeze')", "Freeze", "freeze the marked tensors, or this one; again: they learn"),
    Key("params.noise", "r", "ask('noise')", "Noise", "add noise of 1 % of the deviation: breaks symmetries"),
    Key("params.gradients", "full_stop", "ask('gradients')", "Gradients", "one batch forward and backward, no update",
        footer=True, shown="."),
    Key("params.step", "n", "ask('step')", "Step", "one update by the form's optimiser on the next batch"),
    Key("params.steps", "N", "ask('steps')", "10 steps", "ten updates"),
    Key("params.forget", "Z", "ask('forget')", "Zero grad", "forget all gradients"),
    Key("params.undo", "u", "ask('undo')", "Undo", "take the last change back, bit for bit"),
    Key("params.redo", "U,ctrl+r", "ask('redo')", "Redo", "make it again", shown="U"),
    Key("params.view", "v", "ask('view')", "View", "the next of values, heat, histogram, spectrum, pictures, uses, optimizer"),
    Key("params.part", "d", "ask('part')", "Gradient", "see the gradient's numbers instead of the values, and back"),
]  # fmt: skip
PARAMS = [
    Key("params.into", "enter,tab", "ask('into')", "Into", "to the numbers of this tensor", footer=True, shown="enter"),
    *SET,
    Key("params.mark", "space", "ask('mark')", "Mark", "mark for tying, setting, freezing"),
    Key("params.mark_all", "M", "ask('mark_all')", "Mark all", "mark all that the filter shows; again: none"),
    Key("params.tie", "t", "ask('tie')", "Tie", "make the marked parameters one; the first marked keeps its values"),
    Key("params.untie", "T", "ask('untie')", "Untie", "values of its own again"),
    Key("params.open", "o", "ask('open')", "Open", "look at a run's newest checkpoint, a checkpoint or file of tensors"),
    Key(
        "params.earlier", "less_than_sign", "ask('earlier')", "Earlier", "of a run: its checkpoint before this one", shown="<"
    ),
    Key("params.later", "greater_than_sign", "ask('later')", "Later", "of a run: its next checkpoint", shown=">"),
    Key("params.clone", "c", "ask('clone')", "Clone", "build it anew, load its state_dict, compare the outputs"),
    Key("params.write", "w", "ask('write')", "Write", "all or the marked tensors to .safetensors, .pt, .npz, .npy; read back"),
    Key("params.filter", "slash", "ask('filter')", "Filter", "only *.weight, /regex/, frozen, buffer, std > 0.1"),
    Key("params.sort", "s", "ask('sort')", "Sort", "by another column; again the same: the other way round"),
    Key(
        "params.clear",
        "escape",
        "ask('clear')",
        "Clear",
        "cancel; clear filter, marks, order; back to the network",
        shown="esc",
    ),
    *MOVES,
]
NUMBERS = [
    Key("numbers.cell", "enter", "ask('cell')", "Set", "type this number", footer=True),
    *SET,
    Key("numbers.left", "left,h", "across(-1)", "Left", "one number to the left", shown="← h"),
    Key("numbers.right", "right,l", "across(1)", "Right", "one number to the right", shown="→ l"),
    Key("numbers.page_left", "H", "across(-10)", "10 left", "ten numbers to the left"),
    Key("numbers.page_right", "L", "across(10)", "10 right", "ten numbers to the right"),
    Key("numbers.deeper", "right_square_bracket", "deeper(1)", "Slice", "the next of the dimension before; [ the one before",
        shown="[ ]"),
    Key("numbers.shallower", "left_square_bracket", "deeper(-1)", "Slice before", "the one before", shown="["),
    Key("numbers.earlier", "less_than_sign", "ask('earlier')", "Earlier", "of a run: its checkpoint before", shown="<"),
    Key("numbers.later", "greater_than_sign", "ask('later')", "Later", "of a run: its next checkpoint", shown=">"),
    Key("numbers.back", "escape,tab", "ask('back')", "Back", "back to the list", footer=True, shown="esc"),
    *MOVES,
]  # fmt: skip
FORM = [
    Key("form.start", "r", "start", "Run", "start a run with these knobs", footer=True),
    Key("form.edit", "enter,e", "edit", "Edit", "type a value; enter keeps it, escape does not", footer=True, shown="enter"),
    Key("form.next", "right,l,space", "turn(1)", "Next", "next choice", footer=True, shown="→"),
    Key("form.previous", "left,h", "turn(-1)", "Previous", "previous choice", shown="←"),
    Key("form.default", "x", "default", "Default", "back to the default value", footer=True),
    Key("form.undo", "u", "undo", "Undo", "undo the last change", footer=True),
    Key("form.watch", "escape,w", "screen.watch", "Watch", "back to the run that was watched", shown="esc"),
    *MOVES,
]
LIVE = [
    Key("live.pause", "space", "pause", "Pause", "pause before the next step, or go on", footer=True),
    Key("live.step", "full_stop", "step", "Step", "train one batch while paused", footer=True),
    Key("live.slower", "left_square_bracket", "rate(0.5)", "Rate down", "halve the learning rate", shown="["),
    Key("live.faster", "right_square_bracket", "rate(2.0)", "Rate", "double the learning rate", footer=True, shown="[ ]"),
    Key("live.checkpoint", "c", "checkpoint", "Save", "save a checkpoint now", footer=True),
    Key("live.stop", "s", "stop", "Stop", "save a checkpoint and end the run; asks once", footer=True),
    Key("live.resume", "r", "resume", "Resume", "go on with a dead run from its last good checkpoint"),
    Key("live.log", "y", "log", "Log scale", "logarithmic loss axis, or linear again"),
    Key("live.new", "n,escape", "screen.new", "New run", "back to the form", shown="n"),
]
RUNS = [
    Key("runs.attach", "enter", "attach", "Watch", "watch the run under the cursor", footer=True),
    Key(
        "runs.continue", "c", "continue", "Continue", "a new run that goes on from it: more epochs, another rate", footer=True
    ),
    Key("runs.prove", "p", "prove", "Prove", "is resuming it exact? trains, kills, resumes, compares; esc stops", footer=True),
    Key("runs.filter", "slash", "filter", "Filter", "show only runs that match", footer=True),
    Key("runs.delete", "d", "delete", "Delete", "delete a run that is not training; asks once", footer=True),
    Key("runs.undo", "u", "undo", "Undo", "bring the last deleted run back, until the viewer ends"),
    Key("runs.clear", "escape", "clear", "Clear", "clear the filter", shown="esc"),
    *MOVES,
]
FILES = [
    Key("files.look", "enter", "look", "Look", "its tensors in area 3, to read", footer=True),
    Key("files.load", "l", "load", "Load", "onto the bench, with its own network", footer=True),
    Key("files.open", "o", "open", "Open", "any file of tensors, by its path; nothing in it is run", footer=True),
    Key("files.verify", "v", "verify", "Verify", "read every byte of it and compare", footer=True),
    Key("files.test", "t", "test", "Test", "judge it on the test set, or on other data", footer=True),
    Key("files.save", "s", "save", "Save", "what is on the bench, by a name, with a note"),
    Key("files.mark", "space", "mark", "Mark", "mark for =, or no longer"),
    Key(
        "files.compare",
        "equals_sign",
        "compare",
        "Compare",
        "what changed from the marked one, or the one before, in area 3",
        shown="=",
    ),
    Key("files.retention", "R", "retention", "Retention", "what its run's retention would free now; asks before it does"),
    Key("files.rename", "r", "rename", "Rename", "what was saved by hand"),
    Key("files.plan", "L", "plan", "Plan", "into the network that is on the bench, through a plan"),
    Key("files.pin", "p", "pin", "Pin", "keep it whatever its run's retention says, or no longer"),
    Key("files.note", "e", "note", "Note", "say something of it"),
    Key("files.delete", "d", "delete", "Delete", "delete it; asks once, u brings it back until the viewer ends"),
    Key("files.verify_all", "V", "verify_all", "Verify all", "every one that is shown; esc stops"),
    Key(
        "files.export",
        "x",
        "export",
        "Export",
        "tensors, a script that runs alone, ONNX, .pt2, metrics; esc stops",
    ),
    Key("files.copy", "c", "copy", "Copy", "copy its folder out, verified"),
    Key("files.undo", "u", "undo", "Undo", "bring the last deleted one back"),
    Key("files.filter", "slash", "filter", "Filter", "show only checkpoints that match"),
    Key(
        "files.sort", "S", "sort", "Sort", "by run, step, epoch, validation, loss, size or age; the same again turns it round"
    ),
    Key(
        "files.clear",
        "escape",
        "clear",
        "Clear",
        "stop verifying or exporting, then clear filter, mark and order, one after the other",
        shown="esc",
    ),
    *MOVES,
]
CONTENTS = [
    Key(
        "contents.into", "enter", "into", "Look", "a tensor in area 3; opens and closes what has places below it", footer=True
    ),
    Key("contents.tensors", "t", "tensors", "Tensors", "all its tensors in area 3", footer=True),
    Key("contents.plan", "l,L", "plan", "Load", "into the network on the bench, through a plan", footer=True, shown="l"),
    Key("contents.verify", "v", "verify", "Verify", "compare it with the checksums in it", footer=True),
    Key(
        "contents.compare",
        "equals_sign",
        "compare",
        "Compare",
        "what changed from another file or checkpoint, in area 3",
        shown="=",
    ),
    Key("contents.open", "o", "screen.open", "Open", "another file"),
    Key("contents.back", "escape", "screen.back", "Back", "back to the checkpoints", footer=True, shown="esc"),
    *MOVES,
]
PLAN = [
    Key("plan.load", "enter", "do('load')", "Load", "do what the plan says; u in area 3 takes it back", footer=True),
    Key("plan.skip", "space", "do('skip')", "Skip", "leave this tensor as it is; again: load it", footer=True),
    Key("plan.slice", "s", "do('slice')", "Slice", "of another shape: take the part that both have; again: not", footer=True),
    Key("plan.map", "m", "do('map')", "Map", "another tensor of the file for this one", footer=True),
    Key("plan.back", "escape,q", "do('back')", "Back", "load nothing", footer=True, shown="esc"),
    Key("plan.help", "question_mark,f1", "do('help')", "Help", "these keys", shown="?"),
    *MOVES,
]
DEVICES = [
    Key("devices.choose", "enter", "choose", "Use", "use this device for the next run; again: auto", footer=True),
    *MOVES[:2],
]
TABLE: dict[str, list[Key]] = {
    "Everywhere": APP,
    "Train, the form": FORM,
    "Train, a run": LIVE,
    "Runs": RUNS,
    "Files": FILES,
    "Files, a file": CONTENTS,
    "Files, a load plan": PLAN,
    "Devices": DEVICES,
    "Data, the list": DATA,
    "Data, a set": LOOK,
    "Model, the tree": MODEL,
    "Model, beside": PANE,
    "Params, the list": PARAMS,
    "Params, a tensor": NUMBERS,
}


def bindings(keys: list[Key]) -> list[BindingType]:
    return [Binding(key.keys, key.action, key.label, show=False, id=key.id, tooltip=key.help) for key in keys]


def unknown_ids(keymap: dict[str, str]) -> list[str]:
    """Names in a person's keymap that no action has."""
    known = {key.id for keys in TABLE.values() for key in keys}
    return sorted(set(keymap) - known)
