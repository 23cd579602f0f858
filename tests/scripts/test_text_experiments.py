"""How the experiments with language models read their curves, on curves made by hand."""

import numpy as np
import pytest

from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.run import CurveRecorder
from envzoo.scripts.experiments.p03_entropy_mechanism import experiment as entropy_mechanism
from envzoo.scripts.experiments.p06_steer import study as steer_study
from envzoo.scripts.experiments.p14_hapo import experiment as hapo
from envzoo.scripts.experiments.p22_d3s import experiment as d3s
from envzoo.scripts.experiments.p23_bapo import experiment as bapo
from envzoo.scripts.experiments.p38_lp_reg import race
from envzoo.scripts.experiments.p40_aepo import control
from envzoo.scripts.experiments.text import figures as text_figures
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text import tables
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY


def results(**arms):
    """Results of arms given as lists of curves, one per seed."""
    data = {
        name: {"group": "g", "runs": [{"scores": {}, "seconds": 1.5, "curves": curves} for curves in seeds]}
        for name, seeds in arms.items()
    }
    return Results({"arms": data, "seeds": [0, 1]})


def curves(**metrics):
    names = {"entropy": ENTROPY, "accuracy": ACCURACY}
    found = {names.get(name, name): list(values) for name, values in metrics.items()}
    return {"timesteps": [float(k + 1) for k in range(len(next(iter(found.values()))))], **found}


def test_smoothing_is_a_moving_mean_that_keeps_lines_and_constants():
    assert runs.smooth(np.full(7, 2.0)) == pytest.approx(2.0)
    line = runs.smooth(np.arange(20.0), 5)
    assert line[2:-2] == pytest.approx(np.arange(20.0)[2:-2])
    assert line[0] == pytest.approx(1.0)  # of 0, 1 and 2
    assert runs.smooth(np.array([3.0, 5.0])).shape == (2,)


def test_curves_are_read_where_the_accuracy_first_reaches_the_level():
    up = np.linspace(0, 1, 101)
    found = results(
        slow=[curves(accuracy=0.5 * up, entropy=1 - up)],
        fast=[curves(accuracy=up, entropy=1 - up), curves(accuracy=up, entropy=2 - 2 * up)],
    )
    assert runs.matched(found, "fast", ENTROPY, 0.4) == pytest.approx([0.6, 1.2])
    assert runs.matched(found, "slow", ENTROPY, 0.4) == pytest.approx([0.2])
    assert np.isnan(runs.matched(found, "slow", ENTROPY, 0.6)).all()
    top = runs.smooth(0.5 * up).max()
    assert runs.common_accuracy(found, "fast", "slow") == pytest.approx(top)


def test_runs_are_compared_seed_by_seed_at_the_highest_accuracy_both_reach():
    up = np.linspace(0, 1, 101)
    found = results(
        a=[curves(accuracy=up, entropy=3 * (1 - up)), curves(accuracy=0.2 * up, entropy=2 * up)],
        b=[curves(accuracy=0.5 * up, entropy=1 - up), curves(accuracy=up, entropy=1 - up)],
    )
    half, fifth = runs.smooth(0.5 * up).max(), runs.smooth(0.2 * up).max()
    mine = runs.matched(found, "a", ENTROPY, np.array([half, fifth]))
    others = runs.matched(found, "b", ENTROPY, np.array([half, fifth]))
    assert mine == pytest.approx([1.5, 2.0], abs=0.15)
    assert others == pytest.approx([0.0, 0.8], abs=0.07)
    assert runs.matched_ratio(found, "a", "b", ENTROPY) == pytest.approx(mine.sum() / others.sum())


def test_tokens_trained_on_are_the_used_share_of_those_generated():
    per_update = runs.NUM_PROMPTS * runs.GROUP_SIZE * 8.0
    x = np.arange(1, 51) * 3 * per_update  # three updates to a point
    made = {"timesteps": x.tolist(), d3s.TRAINED: [per_update / 4] * 50, d3s.LENGTH: [8.0] * 50}
    made[ACCURACY] = np.linspace(0, 1, 50).tolist()
    (used,) = d3s.trained(results(a=[made]), "a")
    assert used == pytest.approx(x / 4)
    (reached,) = d3s.tokens_to(results(a=[made]), "a", 0.5)
    assert reached == pytest.approx(x[25] / 4)


def test_a_curve_is_read_where_the_accuracy_first_reaches_a_level():
    accuracy, entropy = np.array([0.1, 0.3, 0.2, 0.5]), np.array([1.0, 0.8, 0.9, 0.5])
    found = tables.at_accuracy(accuracy, entropy, np.array([0.05, 0.2, 0.3, 0.4, 0.6]))
    assert found[:4] == pytest.approx([1.0, 0.9, 0.8, 0.9 - 0.4 * 2 / 3])
    assert np.isnan(found[4])
    assert tables.area(np.linspace(0, 1, 11), np.linspace(1, 0, 11)) == pytest.approx(0.45)


@pytest.mark.parametrize("method", tables.AGENTS)
def test_tables_give_the_same_numbers_for_a_seed_in_any_batch(method):
    hyperparameters = {"num_prompts": 4, "group_size": 4}
    found = tables.run_table([3, 8], 3, True, method, hyperparameters, every=2)
    (alone,) = tables.run_table([8], 3, True, method, hyperparameters, every=2)
    assert str(alone) == str(found[1])
    assert alone["curves"]["timesteps"] == [0, 2, 3]
    assert set(map(len, alone["curves"].values())) == {3}


def test_what_the_entropy_does_in_a_run():
    entropy = np.linspace(1.0, 0.2, 9) ** 2
    covariance = np.append(-np.diff(entropy), 0.1)
    found = tables.entropy_scores(0, 1 - np.exp(entropy) / 3, entropy, covariance)
    assert found["R^2 of the law"] == pytest.approx(1.0)
    assert found["rho of covariance and fall"] == pytest.approx(1.0)
    assert found["share of positive covariances"] == 1
    assert found["spread of changes"] == pytest.approx(np.percentile(-np.diff(entropy), 95))
    assert found["R^2 of the law, shuffled"] < 0.9


def test_the_race_starts_as_the_page_says_and_the_pull_has_no_force_on_policy():
    p = np.exp(race.first_logits() - np.logaddexp.reduce(race.first_logits(), axis=1, keepdims=True))
    assert p[0, :3] == pytest.approx([0.95, 0.04, 0.001])
    assert p[1, :2] == pytest.approx([0.12, 0.88])
    puzzle = race.race_puzzle()
    worth = puzzle.reward[puzzle.after[puzzle.train, race.USUAL]]
    assert worth.mean() == 0.5
    second = puzzle.after[puzzle.train[0], race.SPARK]
    assert puzzle.reward[puzzle.after[second, :3]] == pytest.approx([1, 0, 0])
    # Without the filter, the proxy of a single step is the policy itself.
    loose = {"eps_low": 1.0, "eps_high": 9.0, "min_p": 0.0, "num_minibatches": 1}
    pulled, free = (race.run_race([1, 2], 4, True, "LpReg", {**loose, "rho": rho, "beta": 20.0}) for rho in (0.05, 0.0))
    for one, other in zip(pulled, free, strict=True):
        assert one["scores"][race.P_SPARK] == pytest.approx(other["scores"][race.P_SPARK], rel=1e-9)
    several = race.run_race([1, 2], 4, True, "LpReg", {**loose, "num_minibatches": 8, "rho": 0.05, "beta": 20.0})
    assert all(run["scores"][race.GATED] > 0 for run in several)
    assert several[0]["scores"][race.P_SPARK] != pytest.approx(free[0]["scores"][race.P_SPARK], rel=1e-3)


def test_spread_of_changes():
    spread = text_figures.spread_of_changes(results(a=[curves(entropy=np.arange(30) * 0.1)]), "a")
    assert spread == pytest.approx([0.1])


def test_wall_time_is_a_score():
    found = results(a=[curves(entropy=[1.0])])
    assert found.scores("a", "seconds") == pytest.approx([1.5])
    assert found.has("a", "seconds")
    assert not found.has("b", "seconds")


def test_a_curve_has_as_many_points_as_asked_for():
    class Agent:
        num_timesteps = 0

    recorder, agent = CurveRecorder(("m",), 40, points=10), Agent()
    for step in range(40):
        agent.num_timesteps = step + 1
        recorder.on_iteration(agent, {"m": float(step)})
    assert recorder.curves()["m"] == [4 * k + 1.5 for k in range(10)]


def test_exact_checks_hold():
    assert entropy_mechanism.worst_identity(None) < 1e-3
    assert control.temperature_moves_entropy() < 1e-6 < control.temperature_moves_entropy(power=2)
    assert race.worst_fixed_point(None) < 1e-3 < race.worst_fixed_point(None, 1.1)
    assert hapo.largest_token_sum(None) < 1e-5
    assert bapo.start_of_the_search(None) < 1e-9
    assert d3s.variance_lead(None) >= 1


def test_the_estimate_is_exact_where_one_logit_moves(monkeypatch):
    monkeypatch.setattr(steer_study, "DRAWS", 200)
    estimate, covariance = steer_study.table_study(False)
    assert estimate > 0.999 > covariance
    whole, _ = steer_study.table_study(True)
    assert 0.5 < whole < 0.999


def test_a_verdict_on_a_small_scale_says_so():
    checks = [{"primary": True, "verdict": "holds"}, {"primary": True, "verdict": "fails"}]
    data = {"arms": {}, "seeds": [0], "verdict": "fails", "checks": [*checks, {"primary": False, "verdict": "holds"}]}
    counts = "1 of 2 primary checks hold, and 1 of 1 others."
    assert Results(data).sentence == f"The claim does not hold: {counts}"
    assert Results(data | {"small_scale": True}).sentence == f"The claim does not hold at this scale: {counts}"
    assert Results({"arms": {}, "quick": False}).sentence == "Not yet judged with intervals."
