"""8-bit quantisation against its definition and its error bounds; 8-bit optimizers against formulas and PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.networks.stable_embedding import StableEmbedding
from envzoo.agents.optim import eight_bit, make_optimizer
from envzoo.agents.optim import eight_bit_kernels as kernels
from envzoo.agents.optim.eight_bit import EIGHT_BIT, Adam8bit, AdamW8bit, Lion8bit, Momentum8bit
from envzoo.agents.optim.quantization import (
    _quantize_in_torch,
    code_table,
    dequantize_blockwise,
    dynamic_map,
    linear_map,
    quantize_blockwise,
)
from envzoo.errors import CheckpointError, EnvzooError, UnknownNameError

each_code = pytest.mark.parametrize(("code", "signed"), [(c, s) for c in ("dynamic", "linear") for s in (True, False)])


def values(seed, count=2000, signed=True, heavy=True):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=count) * (np.exp(2 * generator.normal(size=count)) if heavy else 1)
    return torch.tensor(x if signed else np.abs(x), dtype=torch.float32)


# ---------------------------------------------------------------------------- codes


def test_facts_of_the_tables():
    signed, unsigned = dynamic_map(True), dynamic_map(False)
    for table in (signed, unsigned, linear_map(False)):
        assert len(np.unique(table)) == 256
    assert np.abs(signed[signed > 0]).min() == pytest.approx(5.5e-7)
    assert (signed[0], signed[-1], signed[127]) == (np.float32(-0.99296875), 1, 0)
    assert (unsigned[0], unsigned[-1]) == (0, 1)
    assert unsigned[1] == pytest.approx(3.25e-7)
    assert np.diff(signed).max() / 2 == pytest.approx(0.0070313, abs=1e-6)
    assert np.diff(unsigned).max() / 2 == pytest.approx(0.0035157, abs=1e-6)
    # Counted per decade: 1, 2, 4, ..., 64 numbers of each sign.
    counts = [((signed > 10.0**-k) & (signed < 10.0 ** (1 - k))).sum() for k in range(1, 8)]
    assert counts == [64, 32, 16, 8, 4, 2, 1]
    assert linear_map(True)[[0, 1, 128, 255]].tolist() == [-1, -1, 0, 1]


@each_code
@given(seed=st.integers(0, 10**6), blocksize=st.sampled_from([1, 16, 64, 256, 2048]), heavy=st.booleans())
@settings(max_examples=15, deadline=None)
def test_codes_are_those_of_a_binary_search(code, signed, seed, blocksize, heavy):
    x = values(seed, 700, signed, heavy)
    codes, absmax = quantize_blockwise(x, blocksize, signed=signed, code=code)
    table = code_table(code, signed).values
    middles = (table[1:] + table[:-1]) / 2
    for block in range(len(absmax)):
        part = x[block * blocksize : (block + 1) * blocksize].numpy()
        largest = np.abs(part).max()
        assert absmax[block] == largest
        expected = np.searchsorted(middles, part / (largest or 1), side="left")
        np.testing.assert_array_equal(codes[block * blocksize : (block + 1) * blocksize], expected)
    in_torch = _quantize_in_torch(
        x, torch.from_numpy(table), blocksize, torch.empty_like(codes), torch.empty_like(absmax), x.shape
    )
    assert torch.equal(in_torch[0], codes)
    assert torch.equal(in_torch[1], absmax)


@each_code
def test_every_table_number_and_every_midpoint_finds_its_code(code, signed):
    table = code_table(code, signed).values
    x = np.concatenate([table, (table[1:] + table[:-1]) / 2, [1.0, 0.0, -0.0], np.float32([1e-38, 1e-45])])
    x = np.concatenate([x, -x]) if signed else x
    codes, absmax = quantize_blockwise(torch.tensor(x, dtype=torch.float32), 2048, signed=signed, code=code)
    assert absmax.tolist() == [1.0]
    middles = ((table[1:] + table[:-1]) / 2).astype(np.float32)
    np.testing.assert_array_equal(codes, np.searchsorted(middles, x.astype(np.float32), side="left"))


@given(seed=st.integers(0, 10**6), blocksize=st.sampled_from([32, 256]), signed=st.booleans())
@settings(max_examples=30, deadline=None)
def test_bounds_of_the_error(seed, blocksize, signed):
    x = values(seed, 1000, signed)
    codes, absmax = quantize_blockwise(x, blocksize, signed=signed)
    error = (dequantize_blockwise(codes, absmax, blocksize, signed=signed) - x).abs()
    scale = absmax.repeat_interleave(blocksize)[: len(x)]
    assert (error <= (0.0070313 if signed else 0.0035157) * scale * (1 + 3e-5)).all()
    relative, position = error / x.abs(), x.abs() / scale
    limits = (0.062, 0.110, 0.180, 0.276, 0.466) if signed else (0.033, 0.062, 0.110, 0.180, 0.276)
    for decade, limit in enumerate(limits):
        inside = (position >= 10.0 ** -(decade + 1)) & (position <= 10.0**-decade)
        assert (relative[inside] <= limit + 1e-3).all()
    vanish = position < (2.75e-7 if signed else 1.62e-7) * (1 - 1e-3)
    assert (codes[vanish] == code_table("dynamic", signed).zero).all()


def test_blocks_are_independent_and_whole_tensors_are_not():
    x = values(0, 1024)
    louder = x.clone()
    louder[:256] *= 1e6
    codes, other = quantize_blockwise(x)[0], quantize_blockwise(louder)[0]
    assert torch.equal(codes[256:], other[256:])
    assert not torch.equal(quantize_blockwise(x, 1024)[0][256:], quantize_blockwise(louder, 1024)[0][256:])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_second_quantisation_changes_nothing_when_the_maximum_is_positive(seed):
    x = values(seed, 512)
    x[::256] = 2 * x.abs().max()
    codes, absmax = quantize_blockwise(x)
    again, scale = quantize_blockwise(dequantize_blockwise(codes, absmax))
    assert torch.equal(codes, again)
    assert torch.equal(absmax, scale)
    negative = quantize_blockwise(-x)
    shrunk = quantize_blockwise(dequantize_blockwise(*negative))[1]
    torch.testing.assert_close(shrunk, absmax * 0.99296875)


def test_zeros_and_shapes():
    codes, absmax = quantize_blockwise(torch.zeros(3, 5), 4)
    assert codes.shape == (3, 5)
    assert absmax.tolist() == [0, 0, 0, 0]
    assert dequantize_blockwise(codes, absmax, 4).abs().max() == 0
    for size in (0, 3, 100, 2.0, True):
        with pytest.raises(EnvzooError, match=r"blocksize is .*; expected a power of two"):
            quantize_blockwise(torch.ones(4), size)
    with pytest.raises(UnknownNameError, match="'dynamic'"):
        quantize_blockwise(torch.ones(4), code="dynamics")
    with pytest.raises(EnvzooError, match="x holds NaN or infinite numbers"):
        quantize_blockwise(torch.tensor([1.0, torch.nan]))


# ---------------------------------------------------------------------------- optimizers

CLASSES = {"adam": Adam8bit, "adamw": AdamW8bit, "momentum": Momentum8bit, "lion": Lion8bit}


def tensor(seed, shape=(70, 70)):
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def gradients(count, shape=(70, 70)):
    generator = torch.Generator().manual_seed(9)
    for step in range(count):
        yield torch.randn(shape, generator=generator) * 10.0 ** (step % 3 - 2)


def run(optimizer, parameter, count=20):
    for gradient in gradients(count, parameter.shape):
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


REFERENCES = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": None,
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=0.1),
    "lion": None,
}


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_in_32_bits_they_are_those_of_torch(name):
    decay = {} if name == "adam" else {"weight_decay": 0.1}
    ours, theirs = tensor(0), tensor(0)
    run(CLASSES[name]([ours], lr=0.01, min_8bit_size=10**6, **decay), ours)
    run(REFERENCES[name]([theirs]), theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def by_hand(name, parameter, count):
    """The formulas, with statistics that go through the tables after every step; the sign of m is kept."""
    p, m, v = parameter.detach().clone(), torch.zeros(70, 70), torch.zeros(70, 70)
    for t, g in enumerate(gradients(count), start=1):
        if name in ("adam", "adamw"):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            p = p - 0.01 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
            p = p * (1 - 0.01 * 0.01) if name == "adamw" else p
        elif name == "momentum":
            m = g if t == 1 else 0.9 * m + g
            p = p - 0.01 * m
        else:
            p = p - 0.01 * torch.sign(0.9 * m + 0.1 * g)
            m = 0.99 * m + 0.01 * g
        codes, absmax = quantize_blockwise(m)
        codes = codes - ((codes == 127) & (m < 0)).to(torch.uint8)
        m = dequantize_blockwise(codes, absmax)
        v = dequantize_blockwise(*quantize_blockwise(v, signed=False), signed=False)
    return p


@pytest.mark.parametrize("name", CLASSES)
def test_steps_in_8_bits_are_those_of_the_formulas(name):
    parameter = tensor(0)
    expected = by_hand(name, parameter, 6)
    found = run(CLASSES[name]([parameter], lr=0.01), parameter, 6)
    # A rounding error in m may choose the neighbouring code, or the sign of a number near 0, in few places.
    close = torch.isclose(found, expected, rtol=1e-4, atol=1e-4)
    assert close.float().mean() > 0.99


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("blockwise", [True, False])
def test_kernel_and_torch_take_the_same_steps(name, blockwise, monkeypatch):
    kernel, plain = tensor(1), tensor(1)
    settings = {"lr": 0.01, "blocksize": 64, "blockwise": blockwise, "weight_decay": 0.1}
    first, second = CLASSES[name]([kernel], **settings), CLASSES[name]([plain], **settings)
    monkeypatch.setattr(second, "_step_in_kernel", second._step_in_torch)
    run(first, kernel, 5)
    run(second, plain, 5)
    assert torch.isclose(kernel, plain, rtol=1e-4, atol=1e-4).float().mean() > 0.99
    for name in first.state[kernel]:
        mine, theirs = first.state[kernel][name], second.state[plain][name]
        assert isinstance(mine, int) or (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)


def quantize_by_search(x, table, size, keep_negative):
    """Quantise by a binary search; with `keep_negative`, negative numbers are not rounded to 0."""
    codes, zero = np.empty(x.size, np.uint8), int(np.flatnonzero(table == 0)[0])
    absmax = np.array([np.abs(x[k : k + size]).max() for k in range(0, x.size, size)], np.float32)
    for block, largest in enumerate(absmax):
        place = slice(block * size, (block + 1) * size)
        y = x[place] / (largest or np.float32(1))
        codes[place] = np.searchsorted((table[1:] + table[:-1]) / 2, y, side="left")
        codes[place] -= keep_negative & (codes[place] == zero) & (y < 0)
    return codes, absmax


@pytest.mark.parametrize("code", ["dynamic", "linear"])
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1, 4, 64, 256]), spread=st.sampled_from([0, 4, 12]))
@settings(max_examples=15, deadline=None)
def test_kernels_take_the_steps_of_a_binary_search_to_the_last_bit(code, seed, size, spread):
    random, f = np.random.default_rng(seed), np.float32
    signed, unsigned = code_table(code, True), code_table(code, False)
    n = int(random.integers(1, 700))
    blocks = -(-n // size)
    start = [random.normal(size=n).astype(f) for _ in range(3)]
    zeros = [np.full(n, c.zero, np.uint8) for c in (signed, unsigned, signed, signed)]
    found, expected = ([x.copy() for x in (*start, *zeros)] + [np.zeros(blocks, f) for _ in zeros] for _ in range(2))
    b1, b2, rate, eps = f(0.9), f(0.99), f(0.01), f(1e-8)
    for step in range(3):
        g = (random.normal(size=n) * 10.0 ** random.uniform(-spread, spread, n)).astype(f)
        for value in (0, -0.0, np.nan, np.inf):
            g[random.random(n) < 0.03] = value
        finite, used, scale = np.isfinite(g), np.where(np.isfinite(g), g, f(0)), np.arange(n) // size
        p, q, r, c1, c2, c3, c4, a1, a2, a3, a4 = found
        kernels.adam(p, g, size, signed, c1, a1, unsigned, c2, a2, b1, b2, rate, eps, f(1))
        kernels.sign_or_momentum(q, g, size, signed, c3, a3, b1, b2, rate, f(1), True, False)
        kernels.sign_or_momentum(r, g, size, signed, c4, a4, b1, b2, rate, f(1), False, step == 0)
        p, q, r, c1, c2, c3, c4, a1, a2, a3, a4 = expected
        m = signed.values[c1] * (a1 * b1)[scale] + (f(1) - b1) * used
        v = unsigned.values[c2] * (a2 * b2)[scale] + (f(1) - b2) * used * used
        after = p - rate * m / (np.sqrt(v) + eps)
        lion = signed.values[c3] * a3[scale]
        turned = q - rate * np.sign(b1 * lion + (f(1) - b1) * used)
        momentum = used if step == 0 else b1 * (signed.values[c4] * a4[scale]) + used
        expected[:3] = (
            np.where(finite, x, y) for x, y in zip((after, turned, r - rate * momentum), (p, q, r), strict=True)
        )
        statistics = m, v, b2 * lion + (f(1) - b2) * used, momentum
        for k, x in enumerate(statistics):
            table = (unsigned if k == 1 else signed).values
            expected[3 + k], expected[7 + k] = quantize_by_search(np.where(finite, x, f(0)), table, size, k != 1)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("small", [True, False])
def test_a_gradient_that_is_not_finite_leaves_its_parameter_and_forgets_its_statistics(name, small):
    parameter = tensor(2)
    before = parameter.detach().clone()
    optimizer = CLASSES[name]([parameter], lr=0.01, min_8bit_size=10**6 if small else 0)
    run(optimizer, parameter, 1)
    between = parameter.detach().clone()
    parameter.grad = torch.ones(70, 70)
    parameter.grad[0, :2] = torch.tensor([torch.nan, torch.inf])
    optimizer.step()
    assert torch.isfinite(parameter).all()
    assert torch.equal(parameter[0, :2], between[0, :2])
    assert not torch.equal(parameter[1], between[1])
    assert not torch.equal(between, before)
    assert optimizer._read(parameter, optimizer.state[parameter])[0][0, :2].abs().max() == 0


def test_blocks_follow_the_tensors_of_a_network():
    network = nn.Sequential(nn.Linear(70, 70), nn.Linear(70, 71))
    optimizer = make_optimizer(network, "adam8bit", lr=0.01)
    optimizer.step(network(torch.ones(2, 70)).square().mean())
    state = optimizer.state_dict()["state"]
    assert [state[k]["state1"].dtype for k in range(4)] == [torch.uint8, torch.float32, torch.uint8, torch.float32]
    assert state[2]["state1"].shape == (71, 70)
    assert state[2]["absmax1"].shape == (-(-71 * 70 // 256),)
    inner = optimizer.optimizer
    assert inner.share_of_8_bit() == pytest.approx((4900 + 4970) / (4900 + 4970 + 141))
    assert inner.state_bytes() == sum(2 * n + 8 * -(-n // 256) for n in (4900, 4970)) + 8 * 141


def test_state_bytes_are_a_quarter():
    parameter = tensor(0, (512, 512))
    optimizer = Adam8bit([parameter])
    run(optimizer, parameter, 1)
    assert optimizer.state_bytes() / (8 * 512 * 512) == pytest.approx(0.254, abs=1e-3)


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_state_goes_through_a_checkpoint_in_8_bits(name, tmp_path):
    def make():
        network = nn.Sequential(nn.Linear(70, 70), nn.Linear(70, 3))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4)))
        return network, make_optimizer(network, name, lr=0.01, max_grad_norm=1.0)

    def learn(network, optimizer, steps):
        for _ in range(steps):
            optimizer.step((network(torch.ones(2, 70)) - 1).square().mean())

    whole, optimizer = make()
    learn(whole, optimizer, 6)
    half, optimizer = make()
    learn(half, optimizer, 3)
    checkpoint.save(tmp_path / "a.zip", {}, {"net": half.state_dict(), "optimizer": optimizer.state_dict()})
    stored = checkpoint.read(tmp_path / "a.zip")[1]
    assert stored["optimizer"]["state"][0]["state1"].dtype == torch.uint8
    other, optimizer = make()
    other.load_state_dict(stored["net"])
    optimizer.load_state_dict(stored["optimizer"])
    learn(other, optimizer, 3)
    for mine, theirs in zip(other.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_ppo_resumes_exactly_with_it(name, tmp_path):
    def make():
        small = {"num_envs": 2, "num_steps": 8, "num_epochs": 2, "minibatch_size": 8, "hidden": (70, 70)}
        return agents.make("PPO", "envzoo/TMaze-v0", optimizer=name, device="cpu", **small)

    whole = make().learn(64)
    half = make()
    half.learn(64, callback=lambda agent, metrics: agent.num_timesteps < 32)
    half.save(tmp_path / "a.zip")
    resumed = agents.load(tmp_path / "a.zip", device="cpu").learn()
    for mine, theirs in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(state1=state["state1"].float()),
        lambda state: state.update(state1=state["state1"][:5]),
        lambda state: state.update(absmax1=state["absmax1"] * -1),
        lambda state: state.update(absmax1=state["absmax1"][:1]),
        lambda state: state.update(step=-1),
        lambda state: state.pop("state1"),
    ],
)
def test_a_damaged_state_is_refused(change, tmp_path):
    small = {"num_envs": 2, "num_steps": 8, "minibatch_size": 8, "hidden": (70, 70)}
    agents.make("PPO", "envzoo/TMaze-v0", optimizer="adam8bit", device="cpu", **small).learn(16).save(
        tmp_path / "a.zip"
    )
    header, state = checkpoint.read(tmp_path / "a.zip")
    tensors = state["parts"]["optimizer"]["state"]
    change(next(entry for entry in tensors.values() if entry["state1"].dtype == torch.uint8))
    checkpoint.save(tmp_path / "a.zip", header, state)
    with pytest.raises(CheckpointError, match="does not fit PPO"):
        agents.load(tmp_path / "a.zip")


def test_a_stable_embedding_stays_in_32_bits():
    embedding = StableEmbedding(300, 20, torch.Generator().manual_seed(0))
    assert embedding.weight.abs().max() <= np.sqrt(6 / 320)
    out = embedding(torch.arange(300))
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(300), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=1, unbiased=False), torch.ones(300), atol=1e-2, rtol=0)
    optimizer = Adam8bit(embedding.parameters())
    out.square().mean().backward()
    optimizer.step()
    assert optimizer.state[embedding.weight]["state1"].dtype == torch.float32
    assert optimizer.share_of_8_bit() == 0


def test_bad_arguments_get_one_sentence():
    parameter = tensor(0)
    with pytest.raises(EnvzooError, match="blocksize is 100; expected a power of two"):
        Adam8bit([parameter], blocksize=100)
    with pytest.raises(EnvzooError, match="lr is -1"):
        Adam8bit([parameter], lr=-1)
    with pytest.raises(EnvzooError, match="betas are"):
        Lion8bit([parameter], betas=(0.9, 1.0))
    with pytest.raises(UnknownNameError, match="'linear'"):
        Adam8bit([parameter], code="linea")
    with pytest.raises(UnknownNameError, match="'adam8bit'"):
        make_optimizer([parameter], "adam8bits", lr=0.1)
    double = nn.Parameter(torch.ones(2, dtype=torch.float64))
    double.grad = torch.ones(2, dtype=torch.float64)
    with pytest.raises(EnvzooError, match="take float32 parameters"):
        Adam8bit([double]).step()
    assert set(eight_bit.EIGHT_BIT) == {"adam8bit", "adamw8bit", "momentum8bit", "lion8bit"}


@pytest.mark.parametrize("name", ["Adam8bit"])
def test_tables_are_those_of_bitsandbytes(name):
    functional = pytest.importorskip("bitsandbytes.functional")
    for signed in (True, False):
        theirs = functional.create_dynamic_map(signed)
        np.testing.assert_allclose(theirs.numpy(), dynamic_map(signed), rtol=1e-6)
    x = values(0, 4096)
    codes, state = functional.quantize_blockwise(x, blocksize=256)
    mine, absmax = quantize_blockwise(x)
    assert torch.equal(state.absmax, absmax)
    # Some of their versions take a neighbour of the nearest number on the CPU: ours is never the farther one.
    codes = codes.flatten()
    assert (codes == mine).float().mean() > 0.9
    ours, theirs = ((dequantize_blockwise(c, absmax) - x).abs() for c in (mine, codes))
    assert (ours <= theirs * (1 + 1e-6)).all()
