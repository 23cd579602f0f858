"""How the experiments with language models read their curves, on curves made by hand."""

import numpy as np
import pytest

from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.run import CurveRecorder
from envzoo.scripts.experiments.entropy_methods import experiment as methods
from envzoo.scripts.experiments.entropy_sweeps import experiment as sweeps
from envzoo.scripts.experiments.p03_entropy_mechanism import experiment as entropy_mechanism
from envzoo.scripts.experiments.p06_steer import study as steer_study
from envzoo.scripts.experiments.p14_hapo import experiment as hapo
from envzoo.scripts.experiments.p22_d3s import experiment as d3s
from envzoo.scripts.experiments.p23_bapo import experiment as bapo
from envzoo.scripts.experiments.p38_lp_reg import race
from envzoo.scripts.experiments.p40_aepo import control
from envzoo.scripts.experiments.text import comparison, tables
from envzoo.scripts.experiments.text.strengths import METHODS


def results(**arms):
    """Results of arms given as lists of curves, one per seed."""
    data = {
        name: {"group": "g", "runs": [{"scores": {}, "seconds": 1.5, "curves": curves} for curves in seeds]}
        for name, seeds in arms.items()
    }
    return Results({"arms": data, "seeds": [0, 1]})


def curves(**metrics):
    found = {name: list(values) for name, values in metrics.items()}
    return {"timesteps": [float(k + 1) for k in range(len(next(iter(found.values()))))], **found}


def test_a_curve_is_read_where_the_accuracy_first_reaches_a_level():
    accuracy, entropy = np.array([0.1, 0.3, 0.2, 0.5]), np.array([1.0, 0.8, 0.9, 0.5])
    found = tables.at_accuracy(accuracy, entropy, np.array([0.05, 0.2, 0.3, 0.4, 0.6]))
    assert found[:4] == pytest.approx([1.0, 0.9, 0.8, 0.9 - 0.4 * 2 / 3])
    assert np.isnan(found[4])
    assert tables.area(np.linspace(0, 1, 11), np.linspace(1, 0, 11)) == pytest.approx(0.45)


@pytest.mark.parametrize("method", sorted({method.agent for method in METHODS.values()}))
def test_tables_give_the_same_numbers_for_a_seed_in_any_batch(method):
    hyperparameters = {"num_prompts": 4, "group_size": 4}
    found = tables.run_table([3, 8], 3, True, method, hyperparameters, every=2)
    (alone,) = tables.run_table([8], 3, True, method, hyperparameters, every=2)
    assert str(alone) == str(found[1])
    assert alone["curves"]["timesteps"] == [0, 2, 3]
    assert set(map(len, alone["curves"].values())) == {3}


def test_tokens_are_counted_and_read_where_an_accuracy_is_reached():
    settings = {"num_prompts": 4, "group_size": 4}
    (run,) = tables.run_table([3], 4, True, "GRPO", settings, every=2, reach=0.0)
    assert run["curves"][tables.GENERATED] == [0, 2 * 64, 4 * 64]  # 16 answers of four digits per update
    assert run["scores"][tables.TRAINED] == 0  # an accuracy of 0 is reached before the first update
    passes = {**settings, "num_epochs": 3}
    (run,) = tables.run_table([3], 4, True, "GRPO", passes, every=2, reach=1.1)
    assert run["curves"][tables.TRAINED] == [0, 6 * 64, 12 * 64]
    assert np.isnan(run["scores"][tables.GENERATED])
    few = {**settings, "first_rows": 0.25, "last_rows": 0.25, "first_tokens": 0.5, "last_tokens": 0.5}
    measures = {"early": ["grad_norm", "early"], "mean": ["grad_norm", "mean"], "peak": ["largest_grad_norm", "p99"]}
    (run,) = tables.run_table([3], 4, True, "D3S", few, every=2, reach=0.5, measures=measures)
    assert run["curves"][tables.TRAINED] == [0, 2 * 8, 4 * 8]
    assert run["scores"]["peak"] >= run["scores"]["mean"] > 0


def test_methods_are_compared_after_equal_tokens_however_many_an_update_takes(monkeypatch):
    monkeypatch.setitem(comparison.TOKENS, "rules", 4 * 1024)
    found = {
        method: comparison.run_comparison([5, 6], 8, True, method, "rules", {}) for method in ("GRPO", "AEPOArbitrary")
    }
    plain, twice = found["GRPO"][0]["scores"], found["AEPOArbitrary"][0]["scores"]
    assert (plain[comparison.PER_UPDATE], twice[comparison.PER_UPDATE]) == (1024, 2048)
    assert plain[comparison.TRAINED] == twice[comparison.TRAINED] == 1024
    # After four updates of GRPO and two of AEPO, as runs of that many updates end.
    for method, updates, scores in (("GRPO", 4, plain), ("AEPOArbitrary", 2, twice)):
        (short,) = comparison.run_comparison([5], updates, True, method, "rules", {})
        for measure in comparison.MEASURES:
            assert scores[comparison.after(measure)] == short["scores"][comparison.after(measure)]


def swept(**values):
    """Results of a sweep: arm -> (accuracies, entropies at equal accuracy, entropies at the end), for two seeds."""
    scores = [
        {
            name: [
                {"accuracy, all": accuracy, "entropy at equal accuracy": kept, "entropy, all": entropy}
                for accuracy, kept, entropy in zip(*arm, strict=True)
            ]
            for name, arm in values.items()
        }
    ]
    data = {
        name: {"group": "g", "runs": [{"seed": k, "scores": run, "curves": {}} for k, run in enumerate(runs)]}
        for name, runs in scores[0].items()
    }
    return Results({"arms": data, "seeds": [0, 1]})


def test_the_rule_takes_the_most_entropy_of_those_that_learn():
    plain = ([0.8, 0.9], [1.0, 1.0], [0.5, 0.5])
    arms = {"GRPO": plain, "80/20 .5": ([0.8, 0.84], [1.2, 1.2], [0.6, 0.6]), "80/20 .2": ([0.7, 0.8], [2, 2], [1, 1])}
    assert sweeps.choice(swept(**arms), "80/20", "rules") == ".5"  # the stronger one loses .1 of accuracy
    arms["80/20 .5"] = ([0.6, 0.7], [1.2, 1.2], [0.6, 0.6])
    assert sweeps.choice(swept(**arms), "80/20", "rules") == ".2"  # all lose more than .05; this one loses least
    arms["80/20 .2"] = ([0.8, 0.9], [np.nan, 2.0], [1, 1])  # a run that never reached the accuracies
    arms["80/20 .5"] = ([0.8, 0.9], [1.2, 1.2], [0.6, 0.6])
    assert sweeps.choice(swept(**arms), "80/20", "rules") == ".5"


def test_ranks_count_the_methods_above_and_share_ties(monkeypatch):
    monkeypatch.setattr(methods, "METHODS", dict.fromkeys(("GRPO", "RLOO", "D3S")))
    found = swept(
        GRPO=([0.8, 0.9], [1, 1], [1, 1]), RLOO=([0.8, 0.7], [1, 1], [1, 1]), D3S=([0.5, 0.95], [1, 1], [1, 1])
    )
    assert methods.ranks(found, "GRPO", "rules", "accuracy") == pytest.approx([1.5, 2])
    assert methods.ranks(found, "D3S", "rules", "accuracy") == pytest.approx([3, 1])


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
    assert hapo.largest_token_sum(None) < 1e-5 < hapo.largest_token_sum(None, pooled=False)
    assert bapo.start_of_the_search(None) < 1e-9 < bapo.start_of_the_search(None, punished=True)
    assert bapo.least_lead(None) >= 1 > bapo.least_lead(None, narrow=True)
    assert d3s.variance_lead(None) >= 1 > d3s.variance_lead(None, chooses=False)


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
