"""The results of kernels in float32 are the same bits wherever in memory their arrays lie.

A kernel that is compiled with `fastmath`, or by `text_kernels.kernel`, needs a row in `KERNELS`.
"""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.text.models import draw as text_draw
from envzoo.agents.text.models import kernels as text_kernels
from envzoo.agents.text.models.attention import attention, padded
from envzoo.agents.text.models.passes import Sizes, buffer_size, passes, scratch_size, step_size

ROOT = Path(__file__).resolve().parents[4]
FOLDERS = ("envzoo", "wrappers", "datasets", "agents", "scripts")
FILES = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
OPTIONS = ("fastmath", "reassoc", "fast")
REACH = 512  # bytes; LLVM tells loops apart by distances of up to 256
KERNEL_FILE = "agents/text/models/kernels.py"


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def sequences(rng, rows):
    """Prompts of 3 tokens and answers laid out by `pack`; (prompts, which, tokens, lengths) and what it fills."""
    many = 2
    tokens, lengths = rng.integers(1, 5, (rows, 6)), rng.integers(0, 7, rows)
    prompts, which = rng.integers(1, 5, (many, 3)), rng.integers(0, many, rows)
    total = prompts.size + int(np.maximum(lengths - 1, 0).sum())
    filled = [np.zeros(n, np.int64) for n in (total, total, many + rows, many + rows, many + rows)]
    return [prompts, which, tokens, lengths, *filled, np.zeros(tokens.shape, np.int64)]


def attending(rng, rows, size):
    """The first arguments of `attend`, and how many rows there are."""
    laid = sequences(rng, rows)
    text_kernels.pack.py_func(*laid)
    begin, count, context = laid[6:9]
    many, heads = len(laid[4]), 2
    probs = np.abs(floats(rng, many, heads, padded(9)))
    return [floats(rng, many, 3, heads, size), begin, count, context, np.arange(many), probs], (many, heads, size)


def backward(rng, rows, size):
    arguments, shape = attending(rng, rows, size)
    return [*arguments, floats(rng, *shape), np.zeros(padded(9), np.float32), floats(rng, shape[0], 3, *shape[1:])]


def following(rng, rows, size):
    prompt, past = floats(rng, 2 * 3, 3, 2, size), floats(rng, 2 * rows, 5, 2, 2, size)
    scores, out = np.zeros(padded(8), np.float32), floats(rng, 2 * rows, 2, size)
    return [floats(rng, 2 * rows, 3, 2, size), prompt, 3, rows, past, 4, scores, out]


def passing(rng, rows, size):
    """Arguments of a forward pass of two layers and two heads, with weights so small that nothing overflows."""
    laid = sequences(rng, rows)
    text_kernels.pack.py_func(*laid)
    return [*weights_of(rng, size, len(laid[4]), len(laid[4]) - 2 * 2), *laid[4:9]]


def weights_of(rng, size, rows, outputs):
    s = Sizes(13, 9, 2 * size, 2, 2, 2, 3, rows, outputs, padded(9))
    many = (13 + 9) * s.dim + 2 * (12 * s.dim + 13) * s.dim + (2 + 13) * s.dim + 13
    return [np.float32(0.2) * floats(rng, many), s]


def passed(rng, rows, size):
    arguments = passing(rng, rows, size)
    arguments.append(np.zeros(buffer_size(arguments[1])[0], np.float32))
    passes(size).forward(*arguments)
    return arguments


def passing_back(rng, rows, size):
    arguments = passed(rng, rows, size)
    w, s = arguments[:2]
    return [*arguments, floats(rng, s.outputs, 13), np.zeros(scratch_size(s), np.float32), np.zeros_like(w)]


def stepping(rng, rows, size):
    w, s, *_, buffer = passed(rng, 0, size)  # prompts alone
    past, scratch = floats(rng, 2, 2 * rows, 6, 2, 2, size), np.zeros(step_size(s, 2 * rows), np.float32)
    tokens, logits = rng.integers(1, 5, 2 * rows), np.zeros((2 * rows, 13), np.float32)
    return [w, s, buffer, tokens, 5, rows, past, scratch, floats(rng, 13), logits]


def drawing(rng, rows, width, base, heat):
    scratch = np.zeros((2, width), np.float32)
    uniform = rng.random(rows, np.float32)
    logits = np.float32(2) * floats(rng, rows, width)
    outputs = np.zeros(rows, np.int64), *np.zeros((2, rows), np.float32)
    return [logits, np.float32(base), np.float32(heat), uniform, *scratch, *outputs]


def normalizing(rng, rows, width):
    hat, scale = np.zeros((2, rows, width), np.float32), np.zeros(rows, np.float32)
    return [floats(rng, rows, width), *floats(rng, 3, width), hat[0], scale, hat[1]]


def normalizing_backward(rng, rows, width):
    dz, hat, dx = floats(rng, 3, rows, width)
    weight, scratch, d_weight, d_shift = floats(rng, 4, width)
    return [dz, hat, np.abs(floats(rng, rows)), weight, scratch, dx, d_weight, d_shift]


def embedding(rng, rows, width):
    return rng.integers(0, 4, rows), rng.integers(0, 6, rows), floats(rng, 4, width), floats(rng, 6, width)


def spreading(rng, rows, width):
    return [floats(rng, 4, width), rng.integers(-1, 4, (rows, 3)), floats(rng, width), floats(rng, rows, 3, width)]


HEADS = (4, 8, 16, 24)
KERNELS = {
    "kernels.embed": (text_kernels.embed, lambda g, r, w: [*embedding(g, r, w), floats(g, r, w)]),
    "kernels.embed_backward": (
        text_kernels.embed_backward,
        lambda g, r, w: [floats(g, r, w), *embedding(g, r, w)],
    ),
    "kernels.normalize": (text_kernels.normalize, normalizing),
    "kernels.normalize_backward": (text_kernels.normalize_backward, normalizing_backward),
    "kernels.gelu": (text_kernels.gelu, lambda g, r, w: list(3 * floats(g, 2, r * w))),
    "kernels.gelu_backward": (text_kernels.gelu_backward, lambda g, r, w: list(3 * floats(g, 2, r * w))),
    "kernels.pack": (text_kernels.pack, lambda g, r, w: sequences(g, r)),
    "kernels.spread": (text_kernels.spread, spreading),
    "kernels.gather": (text_kernels.gather, lambda g, r, w: [spreading(g, r, w)[i] for i in (3, 1, 0)]),
    "draw.draw": (text_draw.draw, lambda g, r, w: drawing(g, r, w, 1.0, 1.0)),
    "draw.draw, hot": (text_draw.draw, lambda g, r, w: drawing(g, r, w, 0.7, 1.6)),
}
for _size in HEADS:
    _kernels = attention(_size)
    KERNELS |= {
        f"attention.attend, {_size}": (
            _kernels.attend,
            lambda g, r, w, size=_size: (lambda a, shape: [*a, floats(g, *shape)])(*attending(g, r, size)),
        ),
        f"attention.attend_backward, {_size}": (
            _kernels.attend_backward,
            lambda g, r, w, size=_size: backward(g, r, size),
        ),
        f"attention.attend_next, {_size}": (
            _kernels.attend_next,
            lambda g, r, w, size=_size: following(g, r, size),
        ),
    }
for _size in (4, 16):
    KERNELS |= {
        f"passes.{_name}, {_size}": (
            getattr(passes(_size), _name),
            lambda g, r, w, size=_size, make=_make: make(g, r, size),
        )
        for _name, _make in (("forward", passed), ("backward", passing_back), ("step", stepping))
    }


def lay_out(arrays, order, gaps, start):
    """Copies of arrays in one buffer, one after the other in the given order, with gaps in bytes between them."""
    room = np.zeros(sum(a.nbytes for a in arrays) + sum(gaps) + 16 * len(arrays) + 128, np.uint8)
    at = -room.ctypes.data % 64 + start
    copies = list(arrays)
    for i, gap in zip(order, gaps, strict=True):
        a = arrays[i]
        at += -at % a.itemsize
        copies[i] = room[at : at + a.nbytes].view(a.dtype).reshape(a.shape)
        copies[i][...] = a
        at += a.nbytes + gap
    return copies


def outcome(kernel, arguments, order, gaps, start):
    """The bytes of all arrays after a call."""
    which = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    copies = lay_out([arguments[i] for i in which], order, gaps, start)
    placed = list(arguments)
    for i, copy in zip(which, copies, strict=True):
        placed[i] = copy
    kernel(*placed)
    return [copy.tobytes() for copy in copies]


@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32), rows=st.integers(1, 40), width=st.integers(1, 80))
def test_bits_do_not_depend_on_where_arrays_lie(name, data, seed, rows, width):
    kernel, build = KERNELS[name]
    arguments = build(np.random.default_rng(seed), rows, width)
    many = sum(isinstance(a, np.ndarray) for a in arguments)
    order = data.draw(st.permutations(range(many)))
    gaps = data.draw(st.lists(st.integers(0, REACH // 4).map(lambda words: 4 * words), min_size=many, max_size=many))
    start = 4 * data.draw(st.integers(0, 15))
    apart = outcome(kernel, arguments, range(many), [8 * REACH] * many, 0)
    near = outcome(kernel, arguments, order, gaps, start)
    assert near == apart


# ------------------------------------------------------- that no kernel is missing


def loosens(call):
    """Whether a call, such as of `njit`, lets the compiler change what floating-point code computes."""
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    fastmath = options.get("fastmath")
    return fastmath is not None and not (isinstance(fastmath, ast.Constant) and fastmath.value is False)


def last_name(node):
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def subject_kernels(tree, decorators):
    """Names of functions with one of the decorators, or one that loosens; and lines of calls that fit neither form.

    `decorators` are names; those that the module binds itself, by `name = njit(fastmath=...)`, are found here.
    """
    calls = {node for node in ast.walk(tree) if isinstance(node, ast.Call) and loosens(node)}
    bound, seen = set(decorators), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and node.value in calls:
            bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            seen.add(node.value)
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            loose = [d for d in node.decorator_list if d in calls]
            seen.update(loose)
            if loose or any(last_name(d) in bound for d in node.decorator_list):
                names.append(node.name)
    return names, [call.lineno for call in calls - seen]


def imported_decorators(tree):
    """Names under which a module knows `kernel` of `text_kernels`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "envzoo.agents.text.models.kernels"
        for alias in node.names
        if alias.name == "kernel"
    }


# Kernels that a function makes from one source, which is what the file shows.
COMPILED_FROM = {"attention.attend": "attention.run", "attention.attend_backward": "attention.run"}


def test_every_kernel_that_could_depend_on_it_has_a_row():
    rows = {COMPILED_FROM.get(name, name) for name in (row.split(",")[0] for row in KERNELS)}
    found = set()
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        if not any(word in text for word in ("fastmath", "kernel", "reassoc")):
            continue
        tree = ast.parse(text)
        own = {"kernel"} if file == ROOT / KERNEL_FILE else set()
        names, unknown = subject_kernels(tree, imported_decorators(tree) | own)
        assert unknown == [], f"{file}: fastmath belongs into a decorator, or into one that has a name in its module"
        strings = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in OPTIONS]
        loose = {n for c in ast.walk(tree) if isinstance(c, ast.Call) and loosens(c) for n in ast.walk(c)}
        assert all(n in loose for n in strings), f"{file}: options of the compiler that this test cannot follow"
        found |= {f"{file.stem}.{name}" for name in names}
    assert found == rows


@pytest.mark.parametrize(
    "source",
    [
        "@njit(fastmath=True)\ndef sums(x): pass",
        "@numba.njit(cache=True, fastmath={'reassoc'})\ndef sums(x): pass",
        "quick = njit(fastmath={'reassoc'})\n@quick\ndef sums(x): pass",
        "def make():\n    @njit(fastmath=flags)\n    def sums(x): pass",
    ],
)
def test_a_loose_kernel_is_found(source):
    assert subject_kernels(ast.parse(source), set()) == (["sums"], [])


def test_a_loose_call_in_another_form_is_refused():
    assert subject_kernels(ast.parse("sums = njit(fastmath=True)(add)"), set()) == ([], [1])
