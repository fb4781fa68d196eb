"""The project's own layers beside torch.nn's: the custom classes of d2l's builders' guide, and functions that make networks.

Signatures as in layers.py. The classes are in engine/blocks.py; a test compares the two.
"""

BLOCKS: dict[str, tuple[tuple[object, ...], ...]] = {
    "MLP": (("in_features", 20), ("hidden_features", 256), ("out_features", 10)),
    "FixedHiddenMLP": (("features", 20),),
    "FixedHiddenMLPCorrected": (("features", 20),),
    "NestMLP": (("in_features", 20),),
    "CenteredLayer": (),
    "CenteredLayerCorrected": (),
    "MyLinear": (("in_units",), ("units",)),
    "MyLinearCorrected": (("in_units",), ("units",)),
}

# d2l's functions of the section on parameters; each call makes new layers
FUNCTIONS = {
    "block1": "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU())",
    "block2": 'nn.Sequential(OrderedDict([(f"block {i}", block1()) for i in range(4)]))',
}
