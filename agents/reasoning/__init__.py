"""Policy optimization of language models on verifiable puzzles.

One file per paper, in the order equations (pure functions), config, method (`envzoo.agents.text.method.Method`), agent
(a subclass of `envzoo.agents.text.trainer.TextAgent`). A new paper is one such file and one row of `specs`; its method
then also trains in TRL (`envzoo.agents.reasoning.trl`).
"""
