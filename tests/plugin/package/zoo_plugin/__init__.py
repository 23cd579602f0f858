"""A small plug-in of envzoo: an environment, an agent, an experiment and a dataset."""

import envzoo  # noqa: F401  (registers the environments of this package too)
