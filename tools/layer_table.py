"""Print `core/architecture/layers.py`: the signatures of torch.nn's leaf layers, read off the installed torch.

Run as `python tools/layer_table.py > src/mlptui/core/architecture/layers.py`.
A leaf layer is a public class of torch.nn that takes one input, holds no modules given from outside and is no loss.
"""

import inspect

from torch import nn

RECURRENT = (
    ("input_size",),
    ("hidden_size",),
    ("num_layers", 1),
    ("bias", True),
    ("batch_first", False),
    ("dropout", 0.0),
    ("bidirectional", False),
)
SPECIAL = {
    "RNN": (*RECURRENT[:3], ("nonlinearity", "tanh"), *RECURRENT[3:]),
    "LSTM": (*RECURRENT, ("proj_size", 0)),
    "GRU": RECURRENT,
}
LEFT_OUT = {"device", "dtype", "self", "process_group", "args", "kwargs"}


def takes_one_input(cls: type) -> bool:
    parameters = [p for p in inspect.signature(cls.forward).parameters.values() if p.name != "self"]
    required = [p for p in parameters if p.default is p.empty]
    return len(required) == 1 and required[0].kind is not required[0].VAR_POSITIONAL


def signature(cls: type) -> tuple[tuple[object, ...], ...]:
    if cls.__name__ in SPECIAL:
        return SPECIAL[cls.__name__]
    rows: list[tuple[object, ...]] = []
    for p in inspect.signature(cls.__init__).parameters.values():
        if p.name in LEFT_OUT or p.name.startswith("_"):
            continue
        if p.default is p.empty:
            rows.append((p.name,))
        else:
            rows.append((p.name, "relu" if callable(p.default) else p.default))
    return tuple(rows)


def leaf_layers() -> dict[str, tuple[tuple[object, ...], ...]]:
    table = {}
    for name in sorted(dir(nn)):
        cls = getattr(nn, name)
        if not (inspect.isclass(cls) and issubclass(cls, nn.Module)) or name.startswith("_"):
            continue
        if "Loss" in name or name in ("Sequential", "TransformerEncoder") or not takes_one_input(cls):
            continue
        table[name] = signature(cls)
    return table


if __name__ == "__main__":
    print('"""Signatures of torch.nn\'s leaf layers: (name,) is required, (name, default) is not.')
    print()
    print("Made by tools/layer_table.py; a test compares it with the installed torch.")
    print('"""')
    print()
    print("LAYERS: dict[str, tuple[tuple[object, ...], ...]] = {")
    for name, rows in leaf_layers().items():
        print(f'    "{name}": {rows!r},')
    print("}")
