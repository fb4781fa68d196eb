"""Hostile architecture text: each is refused with one sentence, at once, and nothing of it is executed."""

import resource

import pytest
from budget import in_time

from mlptui.core.architecture.parse import MAX_DEPTH, MAX_PLACES, MAX_TEXT, parse
from mlptui.core.architecture.tree import Layer
from mlptui.core.errors import ArchitectureError


def blow_up(levels: int) -> str:
    """Ties of ties: 2**levels places from a few lines."""
    return "a0 = nn.ReLU()\n" + "".join(f"a{i + 1} = nn.Sequential(a{i}, a{i})\n" for i in range(levels))


def tuple_bomb(levels: int) -> str:
    """A tuple of tuples whose printed form has 8**levels numbers."""
    return "t0 = 1\n" + "".join(f"t{i + 1} = ({', '.join([f't{i}'] * 8)})\n" for i in range(levels))


HOSTILE = {
    "import": "import os\nnn.ReLU()",
    "import from": "from os import system\nsystem('touch pwned')",
    "dunder import": "__import__('os').system('touch pwned')",
    "dunder import in an argument": "nn.Linear(__import__('os').getpid(), 2)",
    "attribute of a module": "nn.Linear(os.getpid(), 2)",
    "torch.load": "torch.load('x.pt')",
    "nn.functional": "nn.functional.relu(3)",
    "deep attribute": "nn.modules.linear.Linear(2, 3)",
    "attribute of a layer": "nn.Linear(2, 3).weight",
    "method of a layer": "nn.Linear(2, 3).cuda()",
    "class ladder": "().__class__.__mro__[1].__subclasses__()",
    "string format ladder": "'{0.__class__}'.format(nn)",
    "format spec": "nn.Sequential(OrderedDict([(f'{1:>999999999}', nn.ReLU())]))",
    "conversion": "nn.Sequential(OrderedDict([(f'{1!r}', nn.ReLU())]))",
    "eval": "eval('1')",
    "exec": "exec('import os')",
    "open": "open('/etc/passwd')",
    "lambda": "(lambda: nn.ReLU())()",
    "lambda as an argument": "nn.Linear(lambda: 3, 2)",
    "walrus": "nn.Linear((x := 4), 2)",
    "conditional": "nn.ReLU() if 1 else nn.Tanh()",
    "boolean operator": "nn.ReLU() or nn.Tanh()",
    "comparison": "nn.Dropout(1 < 2)",
    "subscript": "x = (1, 2)\nnn.Linear(x[0], 2)",
    "dictionary": "nn.Linear(**{'in_features': 3, 'out_features': 2})",
    "star argument": "nn.Linear(*[3, 2])",
    "set": "nn.Linear({3}, 2)",
    "bytes": "nn.Linear(b'3', 2)",
    "complex": "nn.Dropout(1j)",
    "ellipsis": "nn.Dropout(...)",
    "await": "await nn.ReLU()",
    "yield": "yield nn.ReLU()",
    "function": "def f():\n    return nn.ReLU()\nf()",
    "class": "class A(nn.Module):\n    pass\nA()",
    "decorator": "@nn.ReLU()\ndef f(): pass",
    "loop": "while True: pass",
    "for statement": "for i in range(3): nn.ReLU()",
    "with": "with open('x') as f: nn.ReLU()",
    "try": "try:\n    nn.ReLU()\nexcept Exception: pass",
    "delete": "del nn",
    "global": "global nn",
    "assert": "assert nn.ReLU()",
    "match": "match 1:\n    case _: nn.ReLU()",
    "annotation": "x: int = 3\nnn.Linear(x, x)",
    "augmented": "x = 3\nx += 1\nnn.Linear(x, x)",
    "two targets": "a = b = nn.ReLU()",
    "unpacking": "a, b = nn.ReLU(), nn.ReLU()",
    "attribute target": "nn.Linear = nn.ReLU()",
    "binding nn": "nn = 3\nnn",
    "binding a dunder": "__builtins__ = 3\nnn.ReLU()",
    "a stranger's OrderedDict": "nn.Sequential(os.system('x').OrderedDict([('a', nn.ReLU())]))",
    "dunder OrderedDict": "nn.Sequential(__import__('os').OrderedDict([('a', nn.ReLU())]))",
    "container from outside": "nn.ModuleList([nn.ReLU()])",
    "Module": "nn.Module()",
    "loss": "nn.CrossEntropyLoss()",
    "parameter": "nn.Parameter(3)",
    "dots in a name": "nn.Sequential(OrderedDict([('a.b', nn.ReLU())]))",
    "empty name": "nn.Sequential(OrderedDict([('', nn.ReLU())]))",
    "escape code in a name": "nn.Sequential(OrderedDict([('\\x1b]52;c;AAAA\\x07', nn.ReLU())]))",
    "bidi in a name": "nn.Sequential(OrderedDict([('a\\u202eb', nn.ReLU())]))",
    "filter in a repetition": "nn.Sequential(*[nn.ReLU() for i in range(3) if i])",
    "two loops": "nn.Sequential(*[nn.ReLU() for i in range(3) for j in range(3)])",
    "loop over a tuple": "nn.Sequential(*[nn.ReLU() for i in (1, 2)])",
    "range of a float": "nn.Sequential(*[nn.ReLU() for i in range(2.5)])",
    "step of zero": "nn.Sequential(*[nn.ReLU() for i in range(1, 5, 0)])",
    "range without end": "nn.Sequential(*[nn.ReLU() for i in range(2**31 - 1)])",
    "nested repetition": "nn.Sequential(*[nn.Sequential(*[nn.ReLU() for j in range(9999)]) for i in range(9999)])",
    "repetition of a wide block": f"nn.Sequential(*[nn.Sequential({'nn.ReLU(), ' * 3000}) for i in range(9999)])",
    "repetition of long arithmetic": f"nn.Sequential(*[nn.Linear({'1+' * 80}1, 2) for i in range(9999)])",
    "repetition of a wide tuple": f"nn.Sequential(*[nn.Unflatten(1, ({'1, ' * 9000})) for i in range(9999)])",
    "repetition of a long name": f"nn.Sequential(*[nn.Sequential({'*[*[]], ' * 6000}nn.ReLU()) for i in range(9999)])",
    "huge power": "nn.Linear(9**9**9, 2)",
    "huge power in small steps": "nn.Linear((2**31)**64, 2)",
    "negative huge power": "nn.Dropout(2**-99999999)",
    "tower of powers": "nn.Linear(" + "2**" * 60 + "2, 2)",
    "shift": "nn.Linear(1 << 999999999, 2)",
    "string repetition": "nn.Sequential(OrderedDict([('a' * 999999999, nn.ReLU())]))",
    "huge number": "nn.Linear(" + "9" * 5000 + ", 2)",
    "huge hexadecimal": "nn.Linear(0x" + "f" * 60000 + ", 2)",
    "infinity": "nn.Dropout(1e999)",
    "minus infinity": "nn.Dropout(-1e999)",
    "division by zero": "nn.Linear(1 // 0, 2)",
    "root of a negative": "nn.Dropout((-8) ** 0.5)",
    "nested ties": blow_up(40),
    "nested ties, just too many": blow_up(13),
    "deep chain of ties": "a0 = nn.ReLU()\n" + "".join(f"a{i + 1} = nn.Sequential(a{i})\n" for i in range(1500)),
    "deep nesting": "nn.Sequential(" * 150 + "nn.ReLU()" + ")" * 150,
    "deeper nesting": "nn.Sequential(" * 3000 + "nn.ReLU()" + ")" * 3000,
    "brackets": "(" * 30000,
    "deep tuple": "nn.Unflatten(1, " + "(" * 150 + "1" + ",)" * 150 + ")",
    "minus signs": "nn.Linear(" + "-" * 3000 + "1, 2)",
    "a few minus signs": "nn.Linear(" + "-" * 450 + "1, x)",
    "nots": "nn.Linear(" + "not " * 3000 + "1, 2)",
    "long sum": "nn.Linear(" + "1+" * 20000 + "1, 2)",
    "a sum as deep as the stack": "nn.Linear(" + "1+" * 900 + "1, x)",
    "long attribute": "nn" + ".a" * 20000 + "()",
    "call of a call": "nn.ReLU()" + "()" * 3000,
    "tuple bomb in an f-string": tuple_bomb(12) + "nn.Sequential(OrderedDict([(f'{t12}', nn.ReLU())]))",
    "tuple bomb as an argument": tuple_bomb(12) + "nn.Unflatten(1, t12)",
    "string bomb in an f-string": "s = '" + "a" * 250 + "'\n" + tuple_bomb(9).replace("= 1", "= s") + "nn.ReLU(f'{t9}')",
    "long string": "nn.ReLU('" + "a" * 257 + "')",
    "long formatted string": "s = '" + "a" * 200 + "'\nnn.ReLU(f'{s}{s}')",
    "long unknown name": "x" * 60000,
    "long unknown layer": "nn." + "Linear" * 10000 + "(1, 2)",
    "long unknown argument": "nn.Linear(" + "in_features" * 5000 + "=3)",
    "many near names": "".join(f"{'a' * 150}{i} = 1\n" for i in range(400)) + "nn.Linear(" + "a" * 149 + "b, 2)",
    "NUL": "nn.ReLU()\x00",
    "NUL in a string": "nn.Sequential(OrderedDict([('\x00', nn.ReLU())]))",
    "lone surrogate": "nn.Sequential(OrderedDict([('\ud800', nn.ReLU())]))",
    "lone surrogate escaped": "nn.Sequential(OrderedDict([('\\ud800', nn.ReLU())]))",
    "surrogate in a comment": "# \udfff\nnn.ReLU()",
    "a megabyte": "nn.Sequential(" + "nn.ReLU(), " * 95_000 + ")",
    "a megabyte of spaces": " " * 1_000_000,
    "a megabyte of newlines": "\n" * 1_000_000,
    "spaces": " " * 60_000,
    "only comments": "# nothing\n" * 100,
    "coding cookie": "# -*- coding: utf-7 -*-\n+AG4-n",
    "bad indentation": "nn.ReLU()\n  nn.ReLU()\n nn.ReLU()",
    "mixed tabs": "if 1:\n\tx\n        y",
    "unterminated string": "nn.ReLU('",
    "unterminated f-string": "nn.ReLU(f'{'",
    "nested f-string": "nn.ReLU(f'{f\"{nn}\"}')",
    "layer in an f-string": "a = nn.ReLU()\nnn.ReLU(f'{a}')",
    "a layer as a number": "a = nn.ReLU()\nnn.Linear(a, 2)",
    "arithmetic on booleans": "nn.Linear(True + 1, 2)",
    "arithmetic on strings": "nn.Linear('a' + 'b', 2)",
    "matrix product": "nn.Linear(2 @ 2, 2)",
    "itself": "a = nn.Sequential(a)",
    "a name bound later": "nn.Sequential(a)\na = nn.ReLU()",
    "not a text of Python": "\x1b[2J\x1b]0;pwned\x07",
    "byte order mark inside": "nn.Re\ufeffLU()",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_at_once_with_one_sentence(name: str) -> None:
    def refused() -> ArchitectureError:
        with pytest.raises(ArchitectureError) as caught:
            parse(HOSTILE[name])
        return caught.value

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = in_time(1, refused)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert error.line >= 1 and error.column >= 1
    assert error.message and len(str(error)) < 600
    assert str(error).isprintable()


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) >= 100


def test_what_is_large_but_allowed_is_read_in_time() -> None:
    large = {
        f"nn.Sequential(*[nn.Linear(8, 8) for i in range({MAX_PLACES - 1})])": MAX_PLACES,
        "nn.Sequential(" + "nn.ReLU(), " * 5000 + ")": 5001,
        "nn.Sequential(" * (MAX_DEPTH - 1) + "nn.ReLU()" + ")" * (MAX_DEPTH - 1): MAX_DEPTH,
        blow_up(12) + "a12": 8191,
    }
    trees = in_time(3, lambda: [parse(text) for text in large])
    assert [len(list(tree.walk())) for tree in trees] == list(large.values())
    assert len("nn.Sequential(" + "nn.ReLU(), " * 5000 + ")") < MAX_TEXT


def test_a_long_sum_of_modest_depth_is_arithmetic() -> None:
    assert parse("nn.Linear(" + "1+" * 99 + "1, 2)").argument("in_features") == 100


def test_reading_leaves_no_trace_between_texts() -> None:
    parse("a = nn.ReLU()")
    with pytest.raises(ArchitectureError, match="nothing is called 'a'"):
        parse("a")
    assert isinstance(parse("nn.ReLU()"), Layer)
