"""Speed of finite worlds: sweeps of value iteration, time to an optimum, steps of `TabularEnv`, papers 44 and 45."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from envzoo.agents.planners.tabular.large import dense_optimum, sparse_optimum
from envzoo.agents.planners.tabular.linear_program import WarmDual, solve_dual
from envzoo.agents.planners.tabular.optimum import policy_iteration
from envzoo.agents.planners.tabular.sweeps import dense_sweep, sparse_sweep
from envzoo.scripts.bench.report import Prepared, Row, measure
from envzoo.tabular import FiniteMDP, Outcomes, TabularVectorEnv, random_mdp, random_outcomes

DESCRIPTION = "finite worlds: sweeps, optima to one error, steps of TabularEnv, algorithms of papers 44 and 45"

SPARSE, QUICK_SPARSE = 200_000, 20_000  # states, with 5 actions and 4 successors
PEERS = 20_000  # states of the world that all packages solve
DENSE, ACTIONS = 1_000, 10
GAMMA, ERROR = 0.99, 1e-6
VECTOR_STEPS, EPISODES = 977, 1_024

Subject = Callable[[], None] | Prepared


def run(quick: bool = False) -> list[Row]:
    """Run all measurements.

    Args:
        quick: Use fewer repetitions and smaller worlds.

    Returns:
        Rows in million backups per second, milliseconds and seconds; the `ratio` of another package is its time over
        ours, that of a target the measured value over the wanted one (or the inverse, for times).
    """
    repeats = 2 if quick else 5
    return [
        *_sweeps(quick, repeats),
        *_optima(repeats),
        *_programs(repeats),
        *_steps(quick, repeats),
        *_papers(quick),
    ]


@njit(cache=True)
def read_all(words):
    """Sum whole numbers (n,), in any order and thus as vectors, to measure how fast one core can read memory."""
    total = 0
    for i in range(words.size):
        total += words[i]
    return total


def _matrix(world: Outcomes) -> sparse.csr_array:
    """Return the transitions as a sparse matrix (S * A, S)."""
    states, actions, most = world.probability.shape
    starts = np.arange(0, states * actions * most + 1, most)
    columns = world.next_state.ravel().astype(np.int32)  # as scipy itself would choose; wide ones cost it time
    parts = (world.probability.ravel(), columns, starts.astype(np.int32))
    return sparse.csr_array(parts, (states * actions, states))


def _sweeps(quick: bool, repeats: int) -> list[Row]:
    """Time single sweeps, by the time of the processor on one core; and by the clock, where all cores share them."""
    world = random_outcomes(QUICK_SPARSE if quick else SPARSE, 5, 4)
    states, actions, _ = world.probability.shape
    following, weight = world.next_state.astype(np.uint32), GAMMA * world.probability
    r, v, out = world.expected_reward(), np.random.default_rng(0).random(states), np.empty(states)
    matrix = _matrix(world)

    def ours(shared: bool) -> None:
        sparse_sweep(following, weight, r, v, out, shared=shared)

    def scipy_sweep() -> None:
        (r + GAMMA * (matrix @ v).reshape(r.shape)).max(axis=1)

    timings = measure({"ours": partial(ours, False), "scipy": scipy_sweep}, 6 * repeats, time.process_time)
    best, scipy = timings["ours"].best, timings["scipy"].best
    rate = states * actions / best / 1e6
    together = measure({"": partial(ours, True)}, 3 * repeats)[""].best
    note = f"all cores, by the clock: {states * actions / together / 1e6:.0f}"
    rows = [
        Row(f"sparse sweep, {states:,} x {actions}, 4 successors", rate, "million backups/s", rate / 100, 1.0, note),
        Row("  scipy sparse", 1e3 * scipy, "ms", scipy / best, 4.0),
    ]
    model = random_mdp(DENSE, ACTIONS, gamma=GAMMA)
    flat, dense_v = model.p.reshape(-1, DENSE), np.random.default_rng(0).random(DENSE)
    words = model.p.reshape(-1).view(np.int64)
    dense_q, dense_out = np.empty(model.r.shape), np.empty(DENSE)

    def dense_ours(shared: bool) -> None:
        dense_sweep(model.p, model.r, GAMMA, dense_v, dense_q, dense_out, shared=shared)

    def numpy_sweep() -> None:
        (model.r + GAMMA * (flat @ dense_v).reshape(model.r.shape)).max(axis=1)

    timings = measure(
        {"ours": partial(dense_ours, False), "numpy": numpy_sweep, "read": lambda: read_all(words)},
        6 * repeats,
        time.process_time,
    )
    best, numpy, read = (timings[name].best for name in ("ours", "numpy", "read"))
    together = measure({"": partial(dense_ours, True)}, 3 * repeats)[""].best
    note = (
        f"{flat.nbytes / best / 1e9:.1f} GB/s, all cores {flat.nbytes / together / 1e9:.1f}; reading alone "
        f"{flat.nbytes / read / 1e9:.1f}, of whose time 1.5 times is allowed"
    )
    rows += [
        Row(f"dense sweep, {DENSE:,} x {ACTIONS}", 1e3 * best, "ms", 1.5 * read / best, 1.0, note),
        Row("  NumPy", 1e3 * numpy, "ms", numpy / best, 1.2),
    ]
    return rows


# ---------------------------------------------------------------------------- optima


def _optima(repeats: int) -> list[Row]:
    """Compare times to values within 1e-6, with the best method of each package; a note tells what was reached.

    Times are those of the processor, all threads together: on a machine with other work the clock would tell how much
    of it each package was given. Envzoo is held to one core; `OMP_NUM_THREADS=1` does the same to the peers, whose
    threads otherwise count while they wait. The notes tell the times by the clock, where each uses what it can.
    """
    world = random_outcomes(PEERS, 5, 4)
    truth = sparse_optimum(world, GAMMA, tolerance=1e-11).v
    found: dict[str, np.ndarray] = {}

    def ours(shared: bool | None) -> None:
        found["ours"] = sparse_optimum(world, GAMMA, tolerance=ERROR, shared=shared).v

    rows = _compare(f"optimum, {PEERS:,} x 5 sparse", ours, _sparse_peers(world, found), found, truth, repeats)
    model = random_mdp(DENSE, ACTIONS, gamma=GAMMA)
    dense_truth, dense_found = policy_iteration(model).v, {}

    def dense_ours(shared: bool | None) -> None:
        dense_found["ours"] = dense_optimum(model, tolerance=ERROR, shared=shared).v

    peers = _dense_peers(model, dense_found)
    return rows + _compare(
        f"optimum, {DENSE:,} x {ACTIONS} dense", dense_ours, peers, dense_found, dense_truth, max(1, repeats // 2)
    )


def _compare(
    name: str,
    ours: Callable[[bool | None], None],
    peers: dict[str, Subject | None],
    found: dict[str, np.ndarray],
    truth: np.ndarray,
    repeats: int,
) -> list[Row]:
    there = {peer: solve for peer, solve in peers.items() if solve is not None}
    timings = measure({"ours": partial(ours, False), **there}, repeats, time.process_time)
    by_clock = measure({"ours": partial(ours, None), **there}, repeats)
    best = timings["ours"].best

    def note(who: str) -> str:
        error = np.abs(np.asarray(found[who]) - truth).max()
        return f"largest error {error:.1e}; by the clock {1e3 * by_clock[who].best:.3g} ms"

    rows = [Row(name, 1e3 * best, "ms", note=note("ours"))]
    for peer, solve in peers.items():
        if solve is None:
            rows.append(Row(f"  {peer}", math.nan, "ms", note="not installed (extra bench)"))
        else:
            rows.append(Row(f"  {peer}", 1e3 * timings[peer].best, "ms", timings[peer].best / best, 1.0, note(peer)))
    return rows


def _sparse_peers(world: Outcomes, found: dict[str, np.ndarray]) -> dict[str, Subject | None]:
    states, actions, _ = world.probability.shape
    matrix, r = _matrix(world), world.expected_reward()

    def scipy_iteration() -> None:
        v = np.full(states, float(r.min()) / (1 - GAMMA))
        while True:
            q = r + GAMMA * (matrix @ v).reshape(r.shape)
            new = q.max(axis=1)
            if GAMMA * np.abs(new - v).max() <= (1 - GAMMA) * ERROR:
                break
            rows = np.arange(states) * actions + q.argmax(axis=1)
            chosen, pays, v = matrix[rows], r.ravel()[rows], new
            for _ in range(50):
                v = pays + GAMMA * (chosen @ v)
        found["scipy sparse, modified policy iteration"] = new

    peers: dict[str, Subject | None] = {"scipy sparse, modified policy iteration": scipy_iteration}
    s, a = np.repeat(np.arange(states), actions), np.tile(np.arange(actions), states)
    # Not its policy iteration: the factors of a random sparse matrix are nearly full, which takes hours.
    parts = (r.ravel(), sparse.csr_matrix(matrix), GAMMA, s, a)
    peers["quantecon"] = _quantecon("quantecon", parts, found, ("modified_policy_iteration", "value_iteration"))
    peers["mdpsolver"] = _mdpsolver(world.probability, world.next_state, r, found)
    return peers


def _dense_peers(model: FiniteMDP, found: dict[str, np.ndarray]) -> dict[str, Subject | None]:
    """Return the peers for dense worlds; mdpsolver takes lists, in which ten million numbers would take minutes."""
    return {"quantecon": _quantecon("quantecon", (model.r, model.p, GAMMA), found)}


def _quantecon(
    name: str,
    parts: tuple,
    found: dict[str, np.ndarray],
    methods: tuple[str, ...] = ("policy_iteration", "modified_policy_iteration"),
) -> Subject | None:
    """Return the fastest of its methods; building the model is not timed."""
    if importlib.util.find_spec("quantecon") is None:
        return None
    from quantecon.markov import DiscreteDP

    process = DiscreteDP(*parts)

    def solve(method: str) -> None:
        found[name] = process.solve(method=method, epsilon=ERROR).v

    times = {}
    for method in methods:
        solve(method)
        start = time.process_time()
        solve(method)
        times[method] = time.process_time() - start
    best = min(times, key=times.get)
    return lambda: solve(best)


def _mdpsolver(p: np.ndarray, columns: np.ndarray, r: np.ndarray, found: dict[str, np.ndarray]) -> Prepared | None:
    """Return the fastest of its methods; handing over the model as lists is not timed.

    Each time is of a new model, because a model that was solved begins its next solution with its last values.
    """
    if importlib.util.find_spec("mdpsolver") is None:
        return None
    import mdpsolver

    parts = {"rewards": r.tolist(), "tranMatProbs": p.tolist(), "tranMatColumns": columns.tolist()}

    def prepare() -> Any:
        model = mdpsolver.model()
        model.mdp(discount=GAMMA, **parts)
        return model

    def solve(settings: dict[str, Any], model: Any) -> None:
        # Its tolerance is that of the span of a change, which bounds the error of values after its last correction.
        model.solve(update="standard", tolerance=ERROR, **settings)
        found["mdpsolver"] = np.array(model.getValueVector())

    methods = [{"algorithm": "mpi", "parIterLim": times} for times in (5, 10, 50)] + [{"algorithm": "vi"}]
    subjects = {str(i): Prepared(prepare, partial(solve, settings)) for i, settings in enumerate(methods)}
    timings = measure(subjects, 1, time.process_time)
    return subjects[min(timings, key=lambda name: timings[name].best)]


def _programs(repeats: int) -> list[Row]:
    """Compare warm-started programs with programs that scipy solves one by one, for rewards that change a little."""
    model, name = random_mdp(20, 3, gamma=0.9), "100 linear programs, 20 x 3, warm starts"
    rewards = model.r + 0.05 * np.random.default_rng(0).normal(size=(100, *model.r.shape))
    if importlib.util.find_spec("highspy") is None:
        return [Row(name, math.nan, "ms", note="highspy is not installed (extra bench)")]
    warm, worlds = WarmDual(model), [FiniteMDP(model.p, r, model.gamma) for r in rewards]
    timings = measure(
        {"ours": lambda: [warm.solve(r) for r in rewards], "scipy": lambda: [solve_dual(world) for world in worlds]},
        repeats,
    )
    ours, scipy = timings["ours"].best, timings["scipy"].best
    return [
        Row(name, 1e3 * ours, "ms", note=f"{100 / ours:,.0f} a second"),
        Row("  scipy's HiGHS", 1e3 * scipy, "ms", scipy / ours, 1.0, f"{100 / scipy:,.0f} a second"),
    ]


# ---------------------------------------------------------------------------- environments and papers


def _steps(quick: bool, repeats: int) -> list[Row]:
    steps, rows = VECTOR_STEPS // (10 if quick else 1), []
    for name, model in (
        ("1,000 x 10, dense", random_mdp(DENSE, ACTIONS)),
        ("1,000 x 10, 4 successors", random_mdp(DENSE, ACTIONS, successors=4)),
    ):
        env = TabularVectorEnv(model, EPISODES)
        env.reset(seed=0)
        actions = np.random.default_rng(0).integers(ACTIONS, size=(64, EPISODES))

        def play(env: TabularVectorEnv = env, actions: np.ndarray = actions) -> None:
            for t in range(steps):
                env.step(actions[t % 64])

        seconds = measure({"": play}, repeats, time.process_time)[""].best * VECTOR_STEPS / steps
        rows.append(Row(f"10^6 steps of TabularVectorEnv, {name}: 0.1 s", seconds, "s", 0.1 / seconds, 1.0))
    return rows


def _papers(quick: bool) -> list[Row]:
    from envzoo.agents.tabular.linear_kernels import play_run
    from envzoo.kernel.stream import keys
    from envzoo.tabular.adversarial_worlds import linear_mdp, schedule_tables

    episodes, seeds = (2_000, 2) if quick else (32_000, 12)
    world, rows = linear_mdp(), []
    schedule = schedule_tables("iid", episodes, 2)
    for name, barrier, reduced in (
        ("plain", False, False),
        ("magnitude-reduced", False, True),
        ("log-barrier", True, False),
    ):
        streams = np.zeros((seeds, 2), np.uint64)
        streams[:, 0] = keys(np.arange(seeds).astype(np.uint64))
        spent, least, marks = np.empty((seeds, 1)), np.empty(seeds), np.array([episodes])
        rest = (0.5 * episodes**-0.5, 1 / episodes, 1e-4, barrier, reduced)
        parts = (world.p, world.phi, world.initial, world.loss)
        play_run(*parts, schedule[:10], np.array([10]), *rest, streams.copy(), 0, spent, least)
        start = time.process_time()
        for seed in range(seeds):
            play_run(*parts, schedule, marks, *rest, streams, seed, spent, least)
        seconds = (time.process_time() - start) * 12 * 32_000 / (seeds * episodes)
        title = f"paper 44, {name}, 12 seeds x 32,000 episodes: 20 s"
        rows.append(Row(title, seconds, "s", 20 / seconds, 1.0, "scaled from a shorter run" if quick else ""))
    title = "paper 44, Exp3PO, 12 seeds x 32,000 episodes: 20 s"
    options = {"num_envs": 12, "num_episodes": 32_000}
    rows.append(_agent(title, "Exp3PO", "envzoo/AdversarialLinearMDP-v0", 12 * 3 * 32_000, 20, 0.05, options))
    title = "paper 45, OMLE, 54 models, 20 seeds x 2,000 episodes: 10 s"
    options = {"num_envs": 20, "num_episodes": 2_000, "env_kwargs": {"leaves": 1, "length": 1, "symbols": 4}}
    rows.append(_agent(title, "OMLE", "envzoo/RevealingLock-v0", 20 * 4 * 2_000, 10, 0.1 if quick else 1.0, options))
    return rows


def _agent(title: str, name: str, world: str, steps: int, target: float, share: float, options: dict[str, Any]) -> Row:
    """Measure an agent of the zoo that learns with several seeds side by side; a `share` of the steps is scaled up."""
    from envzoo import agents

    agent = agents.make(name, world, seed=0, device="cpu", **options)
    agent.learn(steps // 100)  # compiles
    start = time.process_time()
    agent.learn(int(share * steps))
    seconds = (time.process_time() - start) / share
    note = "" if share == 1.0 else f"scaled from {share:.0%} of the steps"
    return Row(title, seconds, "s", target / seconds, 1.0, note)
