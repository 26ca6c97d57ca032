"""Pin the outputs of small images: python -m tests.models.pin_small [NAME ...].

A network is pinned only while its outputs at 256 x 256 px are the published ones. Without names all
of fingerprints.json are.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from tests.models.fingerprint import FINGERPRINTS, FULL_SIZE, SMALL_PATH, assert_matches, take
from tests.models.published import PUBLISHED, run

_ABOUT = (
    "Written by python -m tests.models.pin_small. Outputs of the networks of published.py at their"
    " small_size, with the weights and the image of fingerprints.json. Each was pinned after its"
    " outputs at 256 x 256 px had been found to be those of fingerprints.json, to 1e-6."
)
_DECIMALS = 8


def pin(name: str) -> list[dict]:
    """Fingerprints of a network's outputs of a small image.

    Raises:
        AssertionError: At 256 x 256 px it does not compute what the published one does.
    """
    assert_matches(run(name, FULL_SIZE), FINGERPRINTS[name]["outputs"])
    return [_rounded(take(output)) for output in run(name, PUBLISHED[name].small_size)]


def _rounded(entry: dict) -> dict:
    entry["px"] = [round(value, _DECIMALS) for value in entry["px"]]
    return entry | {key: round(entry[key], _DECIMALS) for key in ("mean", "std", "min", "max")}


def _write(networks: dict[str, list[dict]]) -> None:
    """One line an output, in the order of published.py."""
    blocks = []
    for name in sorted(networks, key=list(PUBLISHED).index):
        outputs = ",\n".join(f"   {json.dumps(entry)}" for entry in networks[name])
        blocks.append(f'  "{name}": [\n{outputs}\n  ]')
    head = f' "about": {json.dumps(_ABOUT)},\n "networks": {{\n'
    SMALL_PATH.write_text("{\n" + head + ",\n".join(blocks) + "\n }\n}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pin the named networks and say which cannot be; those keep what they had."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of fingerprints.json")
    names = parser.parse_args(arguments).names or list(PUBLISHED)
    if unknown := set(names) - set(PUBLISHED):
        parser.error(f"published.py has no {', '.join(sorted(unknown))}")
    networks = json.loads(SMALL_PATH.read_text())["networks"] if SMALL_PATH.exists() else {}
    refused = []
    for name in names:
        try:
            networks[name] = pin(name)
        except AssertionError as difference:
            refused.append(name)
            print(f"{name} differs from the published outputs: {difference}", file=sys.stderr)
    _write(networks)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
