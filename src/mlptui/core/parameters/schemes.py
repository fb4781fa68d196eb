"""How parameters are drawn, as people write it: `normal(0, 0.01)`, `xavier_uniform`, `0.25:U(5,10) 0.5:0 0.25:U(-10,-5)`.

Names, arguments and defaults are those of `torch.nn.init`; a mixture has for each part its share and what is drawn there.
"""

import ast
import math
import re
import warnings
from dataclasses import dataclass

from mlptui.core.architecture.syntax import nearest, short
from mlptui.core.errors import UsageError

MAX_TEXT = 400
MAX_PARTS = 8
MAX_NUMBER = 1e30
LEAST_INSIDE = 1e-3

# name: arguments with their defaults (None: required)
SCHEMES: dict[str, dict[str, float | str | None]] = {
    "default": {},
    "uniform": {"a": 0.0, "b": 1.0},
    "normal": {"mean": 0.0, "std": 1.0},
    "trunc_normal": {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0},
    "constant": {"val": None},
    "ones": {},
    "zeros": {},
    "eye": {},
    "dirac": {"groups": 1},
    "xavier_uniform": {"gain": 1.0},
    "xavier_normal": {"gain": 1.0},
    "kaiming_uniform": {"a": 0.0, "mode": "fan_in", "nonlinearity": "leaky_relu"},
    "kaiming_normal": {"a": 0.0, "mode": "fan_in", "nonlinearity": "leaky_relu"},
    "orthogonal": {"gain": 1.0},
    "sparse": {"sparsity": None, "std": 0.01},
}
TELLS = {
    "default": "as PyTorch draws it when the layer is made",
    "uniform": "evenly from a to b",
    "normal": "the bell curve around mean",
    "trunc_normal": "the bell curve, nothing beyond a and b",
    "constant": "one number everywhere",
    "ones": "1 everywhere",
    "zeros": "0 everywhere",
    "eye": "1 on the diagonal; matrices only",
    "dirac": "convolutions that pass their input on",
    "xavier_uniform": "keeps the variance of tanh layers, forward and backward",
    "xavier_normal": "the same from a bell curve",
    "kaiming_uniform": "keeps the variance of ReLU layers",
    "kaiming_normal": "the same from a bell curve",
    "orthogonal": "rows or columns at right angles; all singular values equal gain",
    "sparse": "a share of each column is 0, the rest a bell curve; matrices only",
}
CHOICES = {
    "mode": ("fan_in", "fan_out"),
    "nonlinearity": (
        "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid", "tanh",
        "relu", "leaky_relu", "selu",
    ),
}  # fmt: skip
ALIASES = {"he_normal": "kaiming_normal", "he_uniform": "kaiming_uniform", "glorot_normal": "xavier_normal",
           "glorot_uniform": "xavier_uniform", "const": "constant", "zero": "zeros", "one": "ones"}  # fmt: skip


class SchemeError(UsageError):
    """What was written is no way to draw numbers, or does not suit the tensor."""


@dataclass(frozen=True)
class Piece:
    """A share of a mixture: evenly from `low` to `high` (U), around `low` with deviation `high` (N), or the number `low`."""

    share: float
    kind: str
    low: float
    high: float = 0.0

    def __str__(self) -> str:
        numbers = f"{self.kind}({_plain(self.low)},{_plain(self.high)})" if self.kind else _plain(self.low)
        return f"{_plain(self.share)}:{numbers}"

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2 if self.kind == "U" else self.low

    @property
    def variance(self) -> float:
        return {"U": (self.high - self.low) ** 2 / 12, "N": self.high**2}.get(self.kind, 0.0)


@dataclass(frozen=True)
class Scheme:
    """One of SCHEMES with its arguments, all of them; or a mixture, then `name` is "mixture" and `pieces` has its parts."""

    name: str
    arguments: tuple[tuple[str, float | str], ...] = ()
    pieces: tuple[Piece, ...] = ()

    def argument(self, name: str) -> float:
        return float(dict(self.arguments)[name])

    def word(self, name: str) -> str:
        return str(dict(self.arguments)[name])

    def __str__(self) -> str:
        """As it would be written, defaults left out."""
        if self.name == "mixture":
            return " ".join(str(piece) for piece in self.pieces)
        usual = SCHEMES[self.name]
        told = [f"{n}={_plain(v) if isinstance(v, float) else v}" for n, v in self.arguments if usual[n] != v]
        return f"{self.name}({', '.join(told)})" if told else self.name


def _plain(value: float) -> str:
    """As short as it can be without losing a digit."""
    short_ = f"{value:g}"
    return short_ if float(short_) == value else repr(value)


_PIECE = re.compile(r"([^\s:]+)\s*:\s*(?:([UNun])\s*\(([^()]*)\)|([^\s:()]+))(?:\s+|$)")


def read(text: str) -> Scheme:
    """The scheme that a text describes. Raises SchemeError with one sentence."""
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise SchemeError("this is too long for a way to draw numbers")
    if "#" in text:
        raise SchemeError("a # has no place here")
    if not text:
        raise SchemeError("write how to draw, as normal(0, 0.01), xavier_uniform or constant(1)")
    if re.match(r"[-+.\d]", text):
        return _mixture(text) if ":" in text else _called("constant", text)
    match = re.fullmatch(r"(?:nn\.init\.|init\.)?([A-Za-z]\w*?)_?\s*(?:\((.*)\))?", text, re.S)
    if match is None:
        raise SchemeError(f"{short(text)!r} is no way to draw; write for example normal(0, 0.01)")
    return _called(match[1], match[2] or "")


def _called(name: str, arguments: str) -> Scheme:
    name = ALIASES.get(name.lower(), name.lower())
    if name in ("u", "n"):
        name = {"u": "uniform", "n": "normal"}[name]
    if name not in SCHEMES:
        close = nearest(name, SCHEMES)
        raise SchemeError(
            f"there is no {short(name)!r}; " + (f"did you mean {close}?" if close else f"there are {', '.join(SCHEMES)}")
        )
    declared = SCHEMES[name]
    given: dict[str, float | str] = {}
    for i, (named, value) in enumerate(_values(arguments)):
        if not named and i >= len(declared):
            raise SchemeError(f"{name} takes at most {len(declared)} numbers")
        key = named or list(declared)[i]
        if key not in declared:
            raise SchemeError(f"{name} has no {short(key)!r}; it takes {', '.join(declared) or 'nothing'}")
        if key in given:
            raise SchemeError(f"{name} got {key} twice")
        given[key] = _fitting(name, key, value)
    for key, usual in declared.items():
        if usual is None and key not in given:
            raise SchemeError(f"{name} needs {key}, as in {name}({'1' if key == 'val' else '0.9'})")
    scheme = Scheme(name, tuple((k, given.get(k, v if isinstance(v, str) else float(v or 0))) for k, v in declared.items()))
    _check(scheme)
    return scheme


def _values(text: str) -> list[tuple[str, object]]:
    """Names ("" where there is none) and literals of an argument list."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's own, about odd literals
            call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or any(k.arg is None for k in call.keywords):
            raise ValueError
        plain = [("", ast.literal_eval(a) if not isinstance(a, ast.Name) else a.id) for a in call.args]
        return plain + [
            (str(k.arg), ast.literal_eval(k.value) if not isinstance(k.value, ast.Name) else k.value.id) for k in call.keywords
        ]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise SchemeError(f"these are not the arguments of a way to draw: {short(text)!r}") from None


def _fitting(name: str, key: str, value: object) -> float | str:
    if key in CHOICES:
        if value not in CHOICES[key]:
            raise SchemeError(f"{key} is one of {', '.join(CHOICES[key])}")
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_NUMBER:
        raise SchemeError(f"{key} of {name} is a number")
    return float(value)


def _check(scheme: Scheme) -> None:
    name, given = scheme.name, dict(scheme.arguments)
    if "std" in given and scheme.argument("std") < 0:
        raise SchemeError("std cannot be negative")
    if name in ("uniform", "trunc_normal") and scheme.argument("a") > scheme.argument("b"):
        raise SchemeError(f"a must not be above b in {name}")
    if name == "trunc_normal":
        mean, std, low, high = (scheme.argument(key) for key in ("mean", "std", "a", "b"))
        if low == high or not std:
            raise SchemeError("trunc_normal needs a below b, and a std above 0")
        if _bell((low - mean) / std, (high - mean) / std) < LEAST_INSIDE:  # torch throws away what falls outside
            raise SchemeError(f"nearly nothing of a bell around {mean:g} with std {std:g} lies from a={low:g} to b={high:g}")
    if name == "sparse" and not 0 <= scheme.argument("sparsity") <= 1:
        raise SchemeError("sparsity is a share from 0 to 1")
    if name == "dirac" and (scheme.argument("groups") < 1 or scheme.argument("groups") % 1):
        raise SchemeError("groups is a whole number from 1 on")


def _mixture(text: str) -> Scheme:
    pieces: list[Piece] = []
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None:
            raise SchemeError(f"{short(text[position:])!r} is no part of a mixture; write 0.25:U(5,10) 0.5:0 0.25:U(-10,-5)")
        share = _number(match[1])
        if match[2]:
            numbers = [_number(word) for word in match[3].split(",")]
            kind = match[2].upper()
            if len(numbers) != 2:
                raise SchemeError(f"{kind} takes two numbers: " + ("U(low,high)" if kind == "U" else "N(mean,deviation)"))
            if (kind == "U" and numbers[0] > numbers[1]) or (kind == "N" and numbers[1] < 0):
                raise SchemeError("U takes the lower number first" if kind == "U" else "a deviation cannot be negative")
            pieces.append(Piece(share, kind, *numbers))
        else:
            pieces.append(Piece(share, "", _number(match[4])))
        position = match.end()
    if len(pieces) > MAX_PARTS:
        raise SchemeError(f"a mixture has at most {MAX_PARTS} parts")
    if any(p.share < 0 for p in pieces) or abs(sum(p.share for p in pieces) - 1) > 1e-6:
        raise SchemeError(f"the shares of a mixture add up to 1, these to {sum(p.share for p in pieces):g}")
    return Scheme("mixture", (), tuple(pieces))


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise SchemeError(f"{short(word)!r} is no number") from None
    if not abs(value) < MAX_NUMBER:
        raise SchemeError(f"{short(word)} is too large")
    return value


@dataclass(frozen=True)
class Theory:
    """What numbers drawn by a scheme are like: mean and deviation, and as `parts` evenly (U), bell-shaped (N, T truncated) or
    single numbers with their shares. (share, kind, low or mean, high or deviation, lowest, highest)"""

    mean: float
    deviation: float
    parts: tuple[tuple[float, str, float, float, float, float], ...]

    def share(self, low: float, high: float) -> float:
        """Of all numbers, those from `low` to below `high`."""
        return sum(part[0] * _inside(part, low, high) for part in self.parts)

    def allows(self, low: float, high: float) -> bool:
        """Whether numbers from `low` to `high` can have been drawn so."""
        least = min(-math.inf if kind in ("N", "T") else one for _, kind, one, *_ in self.parts)
        most = max(math.inf if kind in ("N", "T") else two if kind == "U" else one for _, kind, one, two, *_ in self.parts)
        room = 1e-6 * max(abs(low), abs(high))  # float32 rounds
        return least - room <= low and high <= most + room


def _inside(part: tuple[float, str, float, float, float, float], low: float, high: float) -> float:
    _, kind, one, two, least, most = part
    if kind == "":
        return 1.0 if low <= one < high else 0.0
    if kind == "U":
        return max(0.0, min(high, two) - max(low, one)) / (two - one) if two > one else float(low <= one < high)
    if two == 0:
        return float(low <= one < high)
    total = _bell((least - one) / two, (most - one) / two)
    return _bell((max(low, least) - one) / two, (min(high, most) - one) / two) / total if total else 0.0


def _bell(low: float, high: float) -> float:
    """The share of a standard normal between two numbers, exact far out, too."""
    if high <= low:
        return 0.0
    if low < 0 < high:
        return 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))
    near, far = (low, high) if low >= 0 else (-high, -low)
    return 0.5 * (math.erfc(near / math.sqrt(2)) - math.erfc(far / math.sqrt(2)))


def fans(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Numbers that flow into and out of one place of a weight [out, in, *kernel]; None below two dimensions.

    Source: torch.nn.init._calculate_fan_in_and_fan_out.
    """
    if len(shape) < 2:
        return None
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def gain(nonlinearity: str, slope: float) -> float:
    """Source: torch.nn.init.calculate_gain."""
    known = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75, "leaky_relu": math.sqrt(2 / (1 + slope**2))}
    return known.get(nonlinearity, 1.0)


def theory(scheme: Scheme, shape: tuple[int, ...]) -> Theory | None:
    """What is drawn for a tensor of this shape; None where the numbers depend on each other (orthogonal) or on the layer.

    Sources of the variances: Glorot & Bengio 2010 for Xavier, He et al. 2015 for Kaiming, as torch.nn.init has them.
    """
    name, infinite = scheme.name, math.inf
    if name == "mixture":
        mean = sum(p.share * p.mean for p in scheme.pieces)
        square = sum(p.share * (p.variance + p.mean**2) for p in scheme.pieces)
        parts = tuple((p.share, p.kind, p.low, p.high, -infinite, infinite) for p in scheme.pieces)
        return Theory(mean, math.sqrt(max(0.0, square - mean**2)), parts)
    if name in ("constant", "ones", "zeros"):
        value = scheme.argument("val") if name == "constant" else float(name == "ones")
        return Theory(value, 0.0, ((1.0, "", value, 0.0, 0.0, 0.0),))
    if name == "uniform":
        return _even(scheme.argument("a"), scheme.argument("b"))
    if name == "normal":
        return _around(scheme.argument("mean"), scheme.argument("std"))
    if name == "trunc_normal":
        return _cut(*(scheme.argument(key) for key in ("mean", "std", "a", "b")))
    flow = fans(shape)
    if flow is None:
        return None
    if name.startswith("xavier"):
        deviation = scheme.argument("gain") * math.sqrt(2 / (flow[0] + flow[1])) if sum(flow) else 0.0
    elif name.startswith("kaiming"):
        fan = flow[0] if scheme.word("mode") == "fan_in" else flow[1]
        deviation = gain(scheme.word("nonlinearity"), scheme.argument("a")) / math.sqrt(fan) if fan else 0.0
    elif name == "sparse" and len(shape) == 2 and shape[0]:
        zero = math.ceil(scheme.argument("sparsity") * shape[0]) / shape[0]
        rest = _around(0.0, scheme.argument("std"))
        parts = ((zero, "", 0.0, 0.0, 0.0, 0.0), (1 - zero, *rest.parts[0][1:]))
        return Theory(0.0, rest.deviation * math.sqrt(1 - zero), parts)
    else:
        return None
    return _around(0.0, deviation) if name.endswith("normal") else _even(-deviation * math.sqrt(3), deviation * math.sqrt(3))


def _even(low: float, high: float) -> Theory:
    return Theory((low + high) / 2, abs(high - low) / math.sqrt(12), ((1.0, "U", low, high, -math.inf, math.inf),))


def _around(mean: float, deviation: float) -> Theory:
    return Theory(mean, deviation, ((1.0, "N", mean, deviation, -math.inf, math.inf),))


def _cut(mean: float, deviation: float, low: float, high: float) -> Theory:
    """Source: the moments of the truncated normal distribution, Johnson, Kotz & Balakrishnan 1994, section 13.10."""
    if not deviation:
        return _around(min(max(mean, low), high), 0.0)
    a, b = (low - mean) / deviation, (high - mean) / deviation
    inside = _bell(a, b)
    if inside <= 0:
        return _even(low, high)
    da, db = (math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (a, b))
    shift = (da - db) / inside
    variance = max(0.0, 1 + (a * da - b * db) / inside - shift**2)
    return Theory(mean + deviation * shift, deviation * math.sqrt(variance), ((1.0, "N", mean, deviation, low, high),))
