"""Conformance checks for anybody's environment, single and vector: `envzoo check ENV_ID` from Python.

```python
from envzoo.conformance import check

report = check("CartPole-v1", vector=True)
assert report.passed, report
```
"""

from envzoo.conformance.report import Finding, Report
from envzoo.conformance.run import check

__all__ = ["Finding", "Report", "check"]
