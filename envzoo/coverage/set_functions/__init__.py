"""Monotone submodular set functions with batched marginal gains: what `SubmodularReward` pays for.

| class | F(S) | a gain costs |
|---|---|---|
| `Coverage` | number of points that the elements cover | points of the element |
| `WeightedCoverage` | weight of the points covered | points of the element |
| `FacilityLocation` | for every client, the similarity to the best element, summed | clients |
| `CappedItemCounts` | items collected, each kind up to its cap | 1 |
| `LogDeterminant` | entropy or information gain of Gaussian measurements | size of S, squared |
| `MutualInformation` | information about what is not measured (monotone only for small S) | size of S, squared |
| `CustomSetFunction` | any Python function of an array of elements | one call |

All have the interface of `SetFunction`: `value` evaluates the definition; `initial_state`, `gains`, `add` and `restart`
follow a batch of growing sets in compiled code.
"""

from envzoo.coverage.set_functions.base import CustomSetFunction, SetFunction
from envzoo.coverage.set_functions.capped_item_counts import CappedItemCounts
from envzoo.coverage.set_functions.coverage import Coverage, WeightedCoverage
from envzoo.coverage.set_functions.facility_location import FacilityLocation
from envzoo.coverage.set_functions.gaussian import LogDeterminant, MutualInformation

__all__ = [
    "CappedItemCounts",
    "Coverage",
    "CustomSetFunction",
    "FacilityLocation",
    "LogDeterminant",
    "MutualInformation",
    "SetFunction",
    "WeightedCoverage",
]
