"""Networks by name: those of d2l's chapters on perceptrons and the builders' guide, and what they are compared with."""

from dataclasses import dataclass

FASHION, FOUR, EIGHT, TWENTY = (1, 28, 28), (4,), (8,), (20,)


@dataclass(frozen=True)
class Network:
    """One network: its architecture, the shape of a sample that it takes, what it shows, and what is wrong with it."""

    text: str
    input: tuple[int, ...]
    about: str
    flaw: str = ""


ZOO: dict[str, Network] = {
    "mlp": Network(
        "nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))",
        FASHION,
        "d2l's perceptron with one hidden layer for Fashion-MNIST",
    ),
    "softmax-regression": Network(
        "nn.Sequential(nn.Flatten(), nn.Linear(784, 10))", FASHION, "one layer: the simplest network that tells classes apart"
    ),
    "dropout-mlp": Network(
        "nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 256), nn.ReLU(), "
        "nn.Dropout(0.5), nn.Linear(256, 10))",
        FASHION,
        "two hidden layers, half of each left out at random while it trains",
    ),
    "batch-norm-mlp": Network(
        "nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 256), "
        "nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 10))",
        FASHION,
        "two hidden layers, each brought to mean 0 and deviation 1 over the batch",
    ),
    "lenet": Network(
        "nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, stride=2), nn.Conv2d(6, 16, 5), "
        "nn.Sigmoid(), nn.AvgPool2d(2, stride=2), nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), "
        "nn.Sigmoid(), nn.Linear(84, 10))",
        FASHION,
        "convolutions, pools and three linear layers (LeCun and others, 1998)",
    ),
    "lazy": Network(
        "nn.Sequential(nn.Flatten(), nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(10))",
        FASHION,
        "input sizes unknown until the first data come",
        "its layers have no sizes and no weights yet; ! or a run gives them",
    ),
    "autoencoder": Network(
        "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 784), nn.Unflatten(1, (1, 28, 28)))",
        FASHION,
        "gives the picture back through 64 numbers: regression on the input",
    ),
    "mlp-module": Network("MLP(20, 256, 10)", TWENTY, "a class of its own with the layers hidden and out"),
    "my-sequential": Network(
        "MySequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))", TWENTY, "Sequential, written by hand"
    ),
    "fixed-hidden": Network(
        "FixedHiddenMLP()",
        TWENTY,
        "a constant weight, one layer used twice, a while loop: any Python may stand in forward",
        "the constant weight is a plain tensor, and the sum mixes the samples of a batch",
    ),
    "fixed-hidden-corrected": Network(
        "FixedHiddenMLPCorrected()", TWENTY, "the same with the constant weight as a buffer, each sample for itself"
    ),
    "nest-mlp": Network("NestMLP()", TWENTY, "a block that holds a Sequential and a Linear"),
    "chimera": Network(
        "nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP())",
        TWENTY,
        "blocks of all kinds in one Sequential",
        "FixedHiddenMLP keeps a plain tensor and mixes the samples of a batch",
    ),
    "nested": Network(
        "nn.Sequential(block2(), nn.Linear(4, 1))",
        FOUR,
        "rgnet: the block factory, block 0 to block 3 inside a Sequential, then a Linear",
    ),
    "tied": Network(
        "shared = nn.Linear(8, 8)\n"
        "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))",
        FOUR,
        "one Linear used twice: one set of weights, its gradients added up",
    ),
    "centered": Network(
        "nn.Sequential(nn.Linear(8, 128), CenteredLayer())",
        EIGHT,
        "a layer without parameters that takes the mean away",
        "the mean is over the whole batch, so samples change each other's outputs",
    ),
    "centered-corrected": Network(
        "nn.Sequential(nn.Linear(8, 128), CenteredLayerCorrected())", EIGHT, "the mean of each sample is taken away"
    ),
    "my-linear": Network(
        "nn.Sequential(MyLinear(64, 8), MyLinear(8, 1))",
        (64,),
        "a linear layer written by hand",
        "forward reads .data, so no gradient reaches the weights",
    ),
    "my-linear-corrected": Network(
        "nn.Sequential(MyLinearCorrected(64, 8), MyLinearCorrected(8, 1))", (64,), "the same without .data: it learns"
    ),
}
