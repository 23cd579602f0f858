"""DID functions, optima of losses on tables, and OfflinePreference, against closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.preference.table_optimum import minimise_on_table
from envzoo.agents.source import Preferences
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.preference.did import (
    did,
    did_entropy,
    jensen_shannon,
    mismatched_optimum,
    optimal_chosen,
    optimal_rejected,
    pair_weights,
    sampled_did_entropy,
)
from envzoo.preference.did_seq import Sequences
from envzoo.preference.did_table import DIDTable

seeds = st.integers(0, 2**32 - 1)
TABLE = "envzoo/DIDTable-v0"


def policies(seed, n=8):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n) * 3), rng.dirichlet(np.ones(n) * 3)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0.05, 3))
def test_identities_of_the_did(seed, beta):
    ref, target = policies(seed)
    q = did(target, ref)
    assert q.sum() == pytest.approx(1)
    back = 1 / q
    assert did(ref, target) == pytest.approx(back / back.sum(), abs=1e-12)
    assert did_entropy(ref, ref) == pytest.approx(np.log(8), abs=1e-12)
    assert did_entropy(target, ref) < np.log(8)
    rejected, power = optimal_rejected(ref, target, beta), q**beta
    assert did(ref, rejected) == pytest.approx(power / power.sum(), abs=1e-12)
    assert did(optimal_chosen(ref, target, beta), ref) == pytest.approx(power / power.sum(), abs=1e-12)
    # The preference of an unordered pair is Bradley-Terry with reward beta log(target / ref).
    win = ref[:, None] * rejected / (ref[:, None] * rejected + ref * rejected[:, None])
    reward = beta * np.log(target / ref)
    assert win == pytest.approx(1 / (1 + np.exp(reward - reward[:, None])), abs=1e-12)


def test_the_sampled_entropy_is_exact_in_the_limit():
    ref, target = policies(3)
    # Every response in proportion to the target: 2000 draws in all.
    counts = np.rint(target * 20_000).astype(int)
    rows = np.repeat(np.arange(8), counts)
    found = sampled_did_entropy(np.log(target[rows]), np.log(ref[rows]))
    assert found == pytest.approx(float(did_entropy(target, ref)), abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_where_losses_stop(seed):
    world = DIDTable(12, 0.5, policy_seed=seed)
    ref, target, weights = world.reference_policy, world.target, world.pair_weights()
    assert jensen_shannon(minimise_on_table(weights, ref, "dpo", beta=0.5), target) < 1e-10
    log_prob = minimise_on_table(weights, ref, "cpo", beta=0.5, nll_coefficient=0.0)
    assert log_prob == pytest.approx(did(target, ref), abs=1e-6)
    wrong_beta = minimise_on_table(weights, ref, "dpo", beta=1.0)
    assert wrong_beta == pytest.approx(mismatched_optimum(ref, target, 0.5, 1.0), abs=1e-6)
    mirrored = pair_weights(optimal_chosen(ref, target, 0.5), ref)
    assert minimise_on_table(mirrored, ref, "dpo", beta=0.5) == pytest.approx(target, abs=1e-6)
    for loss in ("ipo", "slic", "orpo", "simpo", "kto"):
        assert jensen_shannon(minimise_on_table(weights, ref, loss, beta=0.5), target) > 0.005


def test_equal_samplers_carry_no_information():
    world = DIDTable(8, sampler="reference")
    assert minimise_on_table(world.pair_weights(), world.reference_policy, "dpo", beta=0.5) == pytest.approx(
        world.reference_policy, abs=1e-12
    )


def test_worlds_draw_pairs_from_their_samplers():
    world = DIDTable(4)
    data = world.preference_pairs(40_000, 1)
    joint = pair_weights(world.reference_policy, world.rejected)
    np.fill_diagonal(joint, 0.0)
    joint /= joint.sum()
    counts = np.zeros((4, 4))
    np.add.at(counts, (data["chosen"], data["rejected"]), 1)
    assert (np.abs(counts - 40_000 * joint) <= 5 * np.sqrt(40_000 * joint) + 1).all()
    task = Sequences(symbols=3, length=2)
    assert task.reference.sum(1) == pytest.approx(1)
    texts = task.preference_pairs(50, 2)
    assert all(len(text) == 2 for text in (*texts["chosen"], *texts["rejected"]))
    assert all(a != b for a, b in zip(texts["chosen"], texts["rejected"], strict=True))
    ratio = task.target / task.reference
    prompts = np.full((9, 1), 2)
    answers = np.column_stack([task.sequences + 2, np.ones(9, int)])
    assert task.verify(prompts, answers) == pytest.approx(ratio[0], rel=1e-6)
    assert (ratio * task.reference).sum(1) == pytest.approx(1)


@pytest.mark.parametrize("loss", ["dpo", "ipo", "slic", "orpo", "simpo", "cpo", "kto", "dpo_pg"])
def test_one_step_on_a_table_is_the_gradient_of_the_population_loss(loss):
    """All pairs once, in one batch: the agent's gradient is that of the mean over the pairs."""
    prompts, chosen, rejected = np.zeros(4, int), np.array([0, 0, 1, 3]), np.array([1, 2, 3, 2])
    agent = agents.make(
        "OfflinePreference", Preferences(prompts, chosen, rejected), device="cpu", loss=loss, batch_size=4
    )
    with torch.no_grad():
        agent.policy.logits.copy_(torch.tensor([[0.3, -0.2, 0.1, 0.5]]))
    start = agent.policy.logits.detach().double()[0]
    agent.optimizer.max_grad_norm = None
    agent.learn(4)
    found = agent.optimizer.flat.grad.double()

    def value(logits):
        log_pi, ref = torch.log_softmax(logits, -1), torch.full((4,), -np.log(4), dtype=torch.float64)
        margin = (log_pi - ref)[chosen] - (log_pi - ref)[rejected]
        beta, log_sigmoid = 0.1, torch.nn.functional.logsigmoid
        difference, nll = log_pi[chosen] - log_pi[rejected], -log_pi[chosen]
        odds = log_pi - torch.log1p(-log_pi.exp())
        if loss == "kto":
            z = (log_pi - ref)[np.roll(chosen, -1)].detach().mean().clamp_min(0)
            good, bad = (log_pi - ref)[chosen] - z, (log_pi - ref)[rejected] - z
            return ((1 - torch.sigmoid(beta * good)) + (1 - torch.sigmoid(-beta * bad))).mean() / 2
        return {
            "dpo": -log_sigmoid(beta * margin),
            "dpo_pg": -log_sigmoid(beta * margin),
            "ipo": (margin - 5) ** 2,
            "slic": torch.relu(1 - difference) + nll,
            "orpo": -beta * log_sigmoid(odds[chosen] - odds[rejected]) + nll,
            "simpo": -log_sigmoid(beta * difference - 0.5),
            "cpo": -log_sigmoid(beta * difference) + nll,
        }[loss].mean()

    def gradient(function):
        logits = start.clone().requires_grad_()
        return torch.autograd.grad(function(logits), logits)[0]

    expected = gradient(value)
    if loss == "dpo_pg":
        other = gradient(lambda logits: -torch.log_softmax(logits, -1)[chosen].mean())
        inner = expected @ other
        expected = expected if inner >= 0 else expected - inner / (other @ other) * other
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_labels_of_a_half_teach_nothing():
    data = Preferences(np.zeros(2, int), np.array([0, 1]), np.array([1, 2]), label=np.array([0.5, 0.5]))
    agent = agents.make("DPO", data, device="cpu", batch_size=2).learn(10)
    assert torch.equal(agent.policy.logits, torch.zeros(1, 3))


def test_the_implicit_reward_on_a_table():
    agent = agents.make("DPO", TABLE, device="cpu", env_kwargs={"responses": 4}, pairs=64, beta=0.5).learn(64)
    log_pi = torch.log_softmax(agent.policy.logits.detach(), -1)[0]
    log_ref = np.log(DIDTable(4).reference_policy)
    expected = 0.5 * (log_pi.numpy() - log_ref)
    assert agent.implicit_reward([0] * 4, [0, 1, 2, 3]) == pytest.approx(expected, abs=1e-6)


TEXTS = Preferences(("x=", "y=", "x="), ("ab", "b", "ba"), ("a", "ab", "bb"))
TINY = {"model_dim": 8, "model_layers": 1, "model_heads": 2, "sft_updates": 2, "sft_batch": 4, "batch_size": 2}


def test_texts_are_scored_token_by_token():
    agent = agents.make("DPO", TEXTS, device="cpu", **TINY)
    model = agent.policy
    assert model.alphabet == "=abxy"
    asked = torch.from_numpy(model.encode_prompts(["x=", "y="]))
    told = torch.from_numpy(model.encode_answers(["ab", "b", "a", "ab"])).reshape(2, 2, -1)
    found = model.log_probs(asked, told)
    for i in range(2):
        for j in range(2):
            ids = torch.cat([asked[i], told[i, j]])
            logits = torch.log_softmax(model.network(ids[None, :-1]), -1)[0]
            steps = [float(logits.detach()[k - 1, ids[k]]) for k in range(2, len(ids)) if ids[k] != 0]
            assert float(found[i, j].detach()) == pytest.approx(sum(steps), abs=1e-5)


def test_probabilities_of_all_answers_add_up():
    agent = agents.make("DPO", TEXTS, device="cpu", **TINY)
    model = agent.policy
    letters = range(1, 2 + len(model.alphabet))
    rows = [(1, 0, 0)] + [(a, 1, 0) for a in letters if a > 1]
    rows += [(a, b, c) for a in letters for b in letters for c in letters if a > 1 and b > 1]
    asked = torch.from_numpy(model.encode_prompts(["x="]))
    total = model.log_probs(asked, torch.tensor(rows)[None]).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_texts_learn_save_load_and_answer(tmp_path):
    whole = agents.make("KTO", TEXTS, seed=1, device="cpu", **TINY).learn(6)
    whole.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip", TEXTS, device="cpu")
    for agent in (whole, loaded):
        agent.learn(6)
    for one, other in zip(whole.policy.parameters(), loaded.policy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert whole.predict("x=")[0] == loaded.predict(np.array(["x=", "y="], object))[0][0]
    assert all(set(text) <= set("=abxy") for text in whole.predict(["x="] * 5, deterministic=False)[0])


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: agents.make("DPO", Preferences(("a",), ("b",), ("b",))),
            EnvzooError,
            "pair 0 has the answer 'b' twice",
        ),
        (
            lambda: agents.make("DPO", Preferences(("a", "a"), ("b", "c"), ("c", ""))),
            EnvzooError,
            "pair 1 has an empty rej",
        ),
        (
            lambda: agents.make("DPO", Preferences(np.zeros(1, int), np.ones(1, int), np.ones(1, int))),
            EnvzooError,
            "pair 0 has the answer 1 twice",
        ),
        (lambda: Preferences(("a",), ("b",), ("c",), label=[1.5]), EnvzooError, "expected probabilities"),
        (lambda: agents.make("DPO", "CartPole-v1"), UnsupportedSpaceError, "CartPole-v1 offers none"),
        (lambda: agents.make("DPO", TEXTS, loss="ipo"), EnvzooError, "loss of DPO is 'dpo', got 'ipo'"),
        (lambda: agents.make("OfflinePreference", TEXTS, loss="dppo"), EnvzooError, "did you mean 'dpo'"),
        (lambda: agents.make("DPO", TEXTS, label_smoothing=0.5), EnvzooError, r"lies in \[0, 1/2\), got 0.5"),
        (
            lambda: agents.make("DPO", TEXTS, device="cpu", **TINY).predict("z="),
            EnvzooError,
            "has the character 'z', which",
        ),
        (
            lambda: agents.make("DPO", TEXTS, device="cpu", **TINY).predict("x=="),
            EnvzooError,
            "has 3 characters; the model",
        ),
        (
            lambda: agents.make("DPO", TABLE, pairs=10**9),
            EnvzooError,
            "1000000000 pairs of envzoo/DIDTable-v0 would take",
        ),
        (lambda: optimal_rejected((0.5, 0.5), (0.2, 0.3, 0.5), 1.0), EnvzooError, "expected equal ones"),
        (lambda: did((1.0, 0.0), (0.5, 0.5)), EnvzooError, "expected positive probabilities"),
        (
            lambda: minimise_on_table(np.full((2, 2), 0.25), None, "dpo"),
            EnvzooError,
            "compares with a reference policy",
        ),
        (lambda: minimise_on_table(np.full((2, 2), 0.3)), EnvzooError, "expected probabilities of pairs"),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
