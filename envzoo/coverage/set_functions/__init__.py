"""Monotone submodular set functions with batched marginal gains, for `SubmodularReward`.

| class | F(S) | cost of a gain |
|---|---|---|
| `Coverage` | number of points covered by the elements | points of the element |
| `WeightedCoverage` | weight of the covered points | points of the element |
| `FacilityLocation` | sum over clients of the similarity to the best element | clients |
| `CappedItemCounts` | items collected, each kind up to its cap | 1 |
| `LogDeterminant` | entropy or information gain of Gaussian measurements | size of S, squared |
| `MutualInformation` | information about the unmeasured variables (monotone only for small S) | size of S, squared |
| `CustomSetFunction` | any Python function of an array of elements | one call |

All have the interface of `SetFunction`: `value` evaluates the definition; `initial_state`, `gains`, `add` and
`restart` update a batch of growing sets in compiled code.
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
