"""The custom classes of d2l's builders' guide as they stand there, flaws included, each flawed one with a corrected twin.

Source: Zhang, Lipton, Li, Smola, Dive into Deep Learning, chapter "Builders' Guide". Self-contained on purpose: `mlptui model
code` prints these classes into scripts.
"""

import torch
from torch import nn
from torch.nn import functional as F


class MLP(nn.Module):
    """A perceptron with one hidden layer: [n, in_features] to [n, out_features]."""

    def __init__(self, in_features: int = 20, hidden_features: int = 256, out_features: int = 10) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden_features)
        self.out = nn.Linear(hidden_features, out_features)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.out(F.relu(self.hidden(X)))


class MySequential(nn.Module):
    """Layers one after the other, as nn.Sequential does it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            self.add_module(str(i), layer)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            X = layer(X)
        return X


class FixedHiddenMLP(nn.Module):
    """[n, features] to one number. `rand_weight` is constant and a plain tensor: state_dict and .to(device) pass it by."""

    def __init__(self, features: int = 20) -> None:
        super().__init__()
        self.rand_weight = torch.rand((features, features))
        self.linear = nn.Linear(features, features)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        X = self.linear(X)
        X = F.relu(X @ self.rand_weight + 1)
        X = self.linear(X)
        while X.abs().sum() > 1:
            X = X / 2
        return X.sum()


class FixedHiddenMLPCorrected(nn.Module):
    """[n, features] to [n, 1]: the constant is a buffer, and each sample is scaled and summed for itself."""

    rand_weight: torch.Tensor

    def __init__(self, features: int = 20) -> None:
        super().__init__()
        self.register_buffer("rand_weight", torch.rand((features, features)))
        self.linear = nn.Linear(features, features)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        X = self.linear(X)
        X = F.relu(X @ self.rand_weight + 1)
        X = self.linear(X)
        while (large := X.abs().sum(-1, keepdim=True) > 1).any():
            X = torch.where(large, X / 2, X)
        return X.sum(-1, keepdim=True)


class NestMLP(nn.Module):
    """A block that holds a Sequential: [n, in_features] to [n, 16]."""

    def __init__(self, in_features: int = 20) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_features, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, 16)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.linear(self.net(X))


class CenteredLayer(nn.Module):
    """Takes away the mean over all that comes in, the batch included."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X - X.mean()


class CenteredLayerCorrected(nn.Module):
    """Takes away each sample's own mean, over its last dimension."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X - X.mean(-1, keepdim=True)


class MyLinear(nn.Module):
    """[n, in_units] to [n, units]. `forward` reads `.data`, so its parameters never get a gradient."""

    def __init__(self, in_units: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units))
        self.bias = nn.Parameter(torch.randn(units))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        linear = torch.matmul(X, self.weight.data) + self.bias.data
        return F.relu(linear)


class MyLinearCorrected(nn.Module):
    """[n, in_units] to [n, units], with weights that learn; scaled as nn.Linear's, so that ReLUs behind it live."""

    def __init__(self, in_units: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units) / in_units**0.5)
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return F.relu(X @ self.weight + self.bias)
