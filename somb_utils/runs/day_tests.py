"""Day tests that were made before: those of a run, and those of the baselines on the open tables."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from somb_utils.paths import DATA
from somb_utils.runs.record import KEY

DAY_TESTS = DATA / "reference" / "day_tests.csv"


def stored_day_tests() -> pd.DataFrame:
    """Return the day tests of the baselines on the open tables, one row per task, protocol and model."""
    return pd.read_csv(DAY_TESTS)


def model_sha256(record: Mapping[str, Any]) -> str:
    """Return a hash of what a model is, by its record in provenance: its target, parameters and code, not its name."""
    parts = [record["target"], record["params"], record["code"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def p_of_days(provenance: Mapping[str, Any]) -> dict[tuple[str, str, str], float]:
    """Return ``p_day`` by task, protocol and model, where this model was tested on this data."""
    tests = [*stored_day_tests().to_dict("records"), *provenance.get("day_tests", [])]
    p = {(test["data_sha256"], test["model_sha256"]): test["p_day"] for test in tests}
    known = {}
    for record in provenance["models"]:
        task, protocol, model = (record[key] for key in KEY)
        data = provenance["tasks"][f"{task}/{protocol}"]["data_sha256"]
        if (tested := (data, model_sha256(record))) in p:
            known[task, protocol, model] = p[tested]
    return known
