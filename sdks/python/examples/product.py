"""A product that is licensed. Run: LICENSE_KEY=... python product.py keys.json"""

import sys
from pathlib import Path

from tenure import Tenure, TenureError

try:
    # A product ships this text inside itself: whoever may replace it may sign licenses.
    tenure = Tenure.from_env(product="incidentfox", keys=Path(sys.argv[1]).read_text())
except TenureError as error:
    sys.exit(f"not licensed ({error.code}): {error}")

print(f"licensed to {tenure.license.customer.name}: {tenure.state.word}")
for decision in (tenure.work("new"), tenure.feature("sso"), tenure.limit("teams", used=4)):
    print(decision.status, decision.code, decision.message or "")
if tenure.work("new").allowed:
    tenure.record("agent.run", {"runs": "1"})
tenure.close()
