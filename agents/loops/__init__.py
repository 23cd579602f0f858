"""How experience flows: one loop class per kind of experience, each leaving `update` to the algorithm."""
