"""What xgboost and lightgbm silently accept: misspelt parameters, and a device that is missing."""

import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any


def unkndefault_parameters(estimator: Any) -> list[str]:
    """Return the parameters of boosting models, the estimator itself or nested ones, that their library ignores."""
    ignored = []
    for library, booster in _boosters(estimator):
        named = {name for kind in type(booster).__mro__ for name in inspect.signature(kind).parameters}
        params = booster.get_params(deep=False)
        others = {name: value for name, value in params.items() if name not in named}
        if others:
            ignored += (_unused_by_xgboost if library == "xgboost" else _unknown_to_lightgbm)(params, others)
    return ignored


def check_devices(estimator: Any) -> None:
    """Refuse a device that xgboost would silently replace by the processor."""
    for library, booster in _boosters(estimator):
        device = booster.get_params(deep=False).get("device")
        if library != "xgboost" or device is None or str(device).startswith("cpu"):
            continue
        if any("GPU" in message for message in _warnings_of_xgboost({"device": device})):
            raise ValueError(f"xgboost finds no device '{device}' on this machine; leave device out, or set it to cpu")


def _boosters(estimator: Any) -> Iterator[tuple[str, Any]]:
    kinds = {"xgboost": "XGBModel", "lightgbm": "LGBMModel"}
    loaded = {library: getattr(sys.modules[library], kind) for library, kind in kinds.items() if library in sys.modules}
    parts = [estimator, *estimator.get_params(deep=True).values()] if hasattr(estimator, "get_params") else []
    yield from ((library, part) for library, kind in loaded.items() for part in parts if isinstance(part, kind))


def _unknown_to_lightgbm(params: dict[str, Any], others: dict[str, Any]) -> list[str]:
    from lightgbm.basic import _ConfigAliases

    known = {alias for aliases in _ConfigAliases._get_all_param_aliases().values() for alias in aliases}
    return [name for name in others if name not in known]


def _unused_by_xgboost(params: dict[str, Any], others: dict[str, Any]) -> list[str]:
    # xgboost keeps no list of its parameters, but reports after a fit which ones it did not use.
    kind = {name: params[name] for name in ("booster", "tree_method", "grow_policy") if params.get(name) is not None}
    unused = [name for message in _warnings_of_xgboost({**kind, **others}) for name in re.findall(r'"(\w+)"', message)]
    return [name for name in others if name in unused and name != "num_class"]  # which its classifier sets


def _warnings_of_xgboost(params: dict[str, Any]) -> list[str]:
    """Fit one tree to two rows and return what xgboost warns of."""
    import xgboost

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = xgboost.DMatrix([[0.0], [1.0]], label=[0, 1], nthread=1)
        xgboost.train({**params, "verbosity": 1, "nthread": 1}, rows, 1)
    return [str(warning.message) for warning in caught]
