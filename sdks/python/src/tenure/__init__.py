"""Licenses of Tenure in Python: verify offline, ask what is granted, record usage.

The way in is :class:`Tenure`; everything below it can be used alone.
"""

from . import enforcement, quantity
from .client import Tenure
from .claims import Lease, License, Revocations
from .enforcement import Decision
from .errors import TenureError, TransportError
from .keys import TrustSet
from .presented import LicenseKey, read_file, read_presented
from .state import Facts, State, Verdict, evaluate
from .token import verify_lease, verify_license, verify_revocations
