"""The agents that come with the package."""

import numpy as np
import pytest

import envzoo.agents
from envzoo.agents import trained
from envzoo.agents.evaluation import evaluate
from envzoo.agents.trained.recipes import RECIPES
from envzoo.errors import UnknownNameError
from envzoo.scripts.cli import main
from envzoo.scripts.pretrain import EPISODES


def test_there_are_about_a_dozen_small_files_each_with_a_recipe_and_a_score():
    files = {file.name: file.stat().st_size for file in trained.FOLDER.glob("*.zip")}
    assert set(files) == {recipe.file for recipe in RECIPES} == set(trained.scores())
    assert 10 <= len(files) <= 16
    assert max(files.values()) < 150_000
    assert sum(files.values()) < 2_000_000


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.file)
def test_a_pretrained_agent_is_that_of_its_recipe_and_beats_random(recipe):
    agent = envzoo.agents.pretrained(recipe.agent, recipe.source)
    assert agent.num_timesteps >= recipe.timesteps
    for name, value in recipe.hyperparameters.items():
        assert getattr(agent.config, name) == value
    score = trained.scores()[recipe.file]
    assert score["return_mean"] > score["random"]
    # 40 episodes on the seed of the score: within five standard errors of it, and far from the random policy.
    found = evaluate(agent, episodes=40, deterministic=recipe.deterministic).returns
    error = max(score["return_std"], 1e-3) / np.sqrt(40)
    assert abs(found.mean() - score["return_mean"]) <= 5 * error + 0.02 * abs(score["return_mean"])
    assert score["episodes"] == EPISODES


def test_unknown_ones_are_refused_with_those_that_exist():
    with pytest.raises(UnknownNameError, match=r"no pretrained SAC on CartPole-v1; there is PPO on CartPole-v1"):
        envzoo.agents.pretrained("SAC", "CartPole-v1")


def test_the_command_plays_a_pretrained_agent(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", "--pretrained", "PPO", "CartPole-v1", "--episodes", "3"]
    assert main(command) == 0
    assert "500.000" in capsys.readouterr().out
    assert main(["evaluate", "--pretrained", "PPO"]) == 2
    assert "--pretrained takes an agent and an environment" in capsys.readouterr().err
    assert main(["evaluate", "run", "--pretrained", "PPO", "CartPole-v1"]) == 2
