"""Package layout: five folders at the top of the repository, installed under the one name `envzoo`.

Everything else about the package is declared in pyproject.toml. The list of packages is computed here so that adding a
family folder needs no second edit.
"""

from setuptools import find_packages, setup

ROOTS = {
    "envzoo": "envzoo",
    "envzoo.agents": "agents",
    "envzoo.wrappers": "wrappers",
    "envzoo.datasets": "datasets",
    "envzoo.scripts": "scripts",
}

packages = [
    name
    for root, folder in ROOTS.items()
    for name in (root, *(f"{root}.{package}" for package in find_packages(folder)))
]

setup(packages=packages, package_dir=ROOTS)
