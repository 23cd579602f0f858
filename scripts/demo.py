"""Run `make demo`: a one-minute demonstration of envzoo.

Trains SubPO on `envzoo/GridCoverage-v0` and its modular baseline, compares both with greedy planning and a random
policy, and writes a learning curve, a GIF of the learned policy and TensorBoard events.
"""

from __future__ import annotations

import sys
from pathlib import Path

ENVIRONMENT = "envzoo/GridCoverage-v0"
TIMESTEPS = 4_096_000  # 800 updates of 256 episodes of 20 moves
HYPERPARAMETERS = {"policy": "mlp", "num_envs": 256, "learning_rate": 0.003, "entropy_coefficient": 0.5}


def main(root: str = "runs") -> int:
    """Run the demo below `root`; return the exit code."""
    from rich.console import Console
    from rich.table import Table

    from envzoo.agents import load, make
    from envzoo.agents.evaluation import evaluate
    from envzoo.scripts.evaluate import film
    from envzoo.scripts.plot import plot
    from envzoo.scripts.run_directory import free_directory
    from envzoo.scripts.train import train

    console = Console()
    folder = free_directory(root, "demo")
    console.print(
        "\n[bold]envzoo[/bold]: an agent makes 20 moves on a 10x10 grid and is rewarded for every cell it sees "
        "for the [bold]first[/bold] time.\nSubPO learns from these diminishing returns; ModPO is rewarded again "
        "for cells it has already seen.\n"
    )
    trained, runs = {}, []
    for name in ("SubPO", "ModPO"):
        result = train(
            name,
            ENVIRONMENT,
            HYPERPARAMETERS,
            timesteps=TIMESTEPS,
            eval_every=TIMESTEPS // 25,
            eval_stochastic=True,
            run_dir=str(folder / name),
        )
        if not result["finished"]:
            console.print(f"stopped; resume with: {result['resume']}", soft_wrap=True)
            return 130
        runs.append(result["run_dir"])
        trained[name] = load(Path(result["run_dir"]) / "agent.zip", device="cpu")
    players = {"Random": make("Random", ENVIRONMENT), "GreedyMarginal": make("GreedyMarginal", ENVIRONMENT), **trained}

    console.print(
        f"\nCells seen of 100 in 20 moves on {ENVIRONMENT}: 1000 episodes; at most 64 cells are possible.",
        soft_wrap=True,
    )
    table = Table(header_style="dim")
    table.add_column("agent")
    for column in ("mean", "std", "best"):
        table.add_column(column, justify="right")
    for name, agent in players.items():
        seen = evaluate(agent, episodes=1000, deterministic=False).scores("coverage")
        style = "bold green" if name == "SubPO" else None
        table.add_row(name, f"{seen.mean():.1f}", f"{seen.std():.1f}", f"{seen.max():.0f}", style=style)
    console.print(table)
    curve = plot(runs, str(folder / "learning_curve.png"), title="Rewards for new cells, or all: return per episode")
    gif = folder / "subpo.gif"
    film(trained["SubPO"], ENVIRONMENT, gif)
    console.print(f"\nlearning curve  {curve}", highlight=False, soft_wrap=True)
    console.print(f"learned policy  {gif}", highlight=False, soft_wrap=True)
    console.print(f"all metrics     .venv/bin/tensorboard --logdir {folder}\n", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    from envzoo.errors import EnvzooError

    try:
        sys.exit(main(*sys.argv[1:]))
    except EnvzooError as error:
        sys.exit(f"envzoo: error: {error}")
