"""Random play in environments without kernels (texts, a simulator) and in games."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from fuzz_checks import Inside, Row, draw_actions, same
from fuzz_kernels import SESSION, face
from gymnasium import spaces

from envzoo.errors import ResetNeededError
from envzoo.games import make_game
from envzoo.registration import EnvironmentSpec


def play_single(row: EnvironmentSpec, generator: np.random.Generator, calls: int, report: Row) -> Iterator[None]:
    """Play in an environment without a vector form: texts, or a simulator."""
    env = face(row.entry_point)(**row.kwargs)
    text, inside = isinstance(env.action_space, spaces.Text), None
    inside = None if text else Inside(env.observation_space)
    while report.calls < calls:
        for _ in range(SESSION // 20):
            seed, steps, over = int(generator.integers(2**40)), 0, False
            observation, _ = env.reset(seed=seed)
            first, record = observation, []
            state = env.get_state() if hasattr(env, "get_state") else None
            while not over and report.calls < calls and steps < 400:
                action = say(env, generator) if text else draw_actions(env.action_space, 1, generator)[0]
                observation, reward, terminated, truncated, info = env.step(action)
                assert env.observation_space.contains(observation) if text else inside(observation, None) is None
                assert isinstance(reward, float)
                assert np.isfinite(reward)
                assert type(terminated) is type(truncated) is bool
                assert not truncated
                assert all(np.isfinite(value) for value in info.values() if isinstance(value, int | float))
                record.append((action, observation, reward, terminated))
                over, steps, report.calls = terminated, steps + 1, report.calls + 1
            report.steps += steps
            report.episodes += over
            if over:
                try:
                    env.step(action)
                    raise AssertionError("a step after the end was taken")
                except ResetNeededError:
                    pass
            # The same again: from the seed, and from the captured state.
            for again in ("seed", "state"):
                if again == "seed":
                    assert same(env.reset(seed=seed)[0], first)
                elif state is not None:
                    env.set_state(state)
                else:
                    continue
                for action, *expected in record:
                    observation, reward, terminated, _, _ = env.step(action)
                    assert all(map(same, (observation, reward, terminated), expected))
        yield
    env.close()


def say(env: Any, generator: np.random.Generator) -> str:
    """A right answer, a random one, or noise."""
    kind = generator.integers(6)
    definition = getattr(env, "definition", None)
    if kind == 0 and definition is not None:
        task = definition.task
        prompt = env.get_state()["prompt"]
        return task.text(task.solve(prompt)[0]) if not task.multi_turn else "1"
    if kind == 1:
        return ""
    if kind == 2:
        return "".join(map(chr, generator.integers(1, 0xD7FF, generator.integers(1, 40))))
    alphabet = sorted(env.action_space.character_set)
    return "".join(generator.choice(alphabet, generator.integers(1, 5000 if kind == 3 else 30)))


def play_game(game_id: str, generator: np.random.Generator, calls: int, report: Row) -> Iterator[None]:
    """Play a PettingZoo game with random joint actions."""
    game, other = make_game(game_id), make_game(game_id)
    checks = {player: Inside(game.observation_space(player)) for player in game.possible_agents}
    while report.calls < calls:
        for _ in range(10):
            seed = int(generator.integers(2**40))
            observations, _ = game.reset(seed=seed)
            other.reset(seed=seed)
            fork, steps = int(generator.integers(40)), 0
            while game.agents and report.calls < calls:
                assert set(observations) == set(game.agents)
                actions = {p: draw_actions(game.action_space(p), 1, generator)[0] for p in game.agents}
                if steps == fork:
                    other = make_game(game_id)
                    other.set_state(game.get_state())
                observations, rewards, terminations, truncations, infos = result = game.step(actions)
                assert all(map(same, result, other.step(actions)))
                for player, check in checks.items():
                    check({name: np.asarray(part) for name, part in observations[player].items()}, None)
                    assert np.isfinite(rewards[player])
                    assert isinstance(infos[player], dict)
                assert len(set(rewards.values())) == 1
                assert not any(truncations.values())
                assert (not game.agents) == all(terminations.values())
                steps, report.calls = steps + 1, report.calls + 1
            report.steps += steps
            report.episodes += not game.agents
        yield
