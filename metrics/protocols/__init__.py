"""The protocols of test.py; a new one is one file and one line in PROTOCOLS."""

from collections.abc import Mapping

from metrics.protocols.cosup import COSUP
from metrics.protocols.infnet import INFNET
from metrics.protocols.native import NATIVE
from metrics.protocols.protocol import Protocol

__all__ = ["COSUP", "INFNET", "NATIVE", "PROTOCOLS", "Protocol"]

PROTOCOLS: Mapping[str, Protocol] = {p.name: p for p in (NATIVE, INFNET, COSUP)}
