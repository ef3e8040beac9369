"""Python that answers an item from a folder of tables, written from its operation, as a good analyst would."""

import json

from somb_utils.llm.bank.checks import Operation
from somb_utils.llm.core.items import UNDETERMINED, Item

ANALYST = """
import json, re, string
import numpy as np, pandas as pd

def table(name, where=None):
    return rows(pd.read_csv(f"tables/{name}.csv", low_memory=False), where)

def rows(frame, where):
    return frame if where is None else frame.query(where, engine="python")

def chosen(frame, o):
    return frame[[c for c in frame if re.search(o["match"], c)] if "match" in o else [o["column"]]].astype(float)

def ids(frame, on):
    frame = frame.dropna(subset=on)
    return frame.set_index(on if isinstance(on, str) else list(on))

def pair(o):
    first = table(o["table"], o.get("where"))
    if "other" not in o:
        return first[o["column"]], first[o["other_column"]]
    second = table(o["other"], o.get("other_where"))
    a = ids(first, o["on"])[o["column"]]
    b = ids(second, o.get("other_on", o["on"]))[o.get("other_column", o["column"])]
    once = [side[~side.index.duplicated(keep=False)].rename(name) for side, name in ((a, "a"), (b, "b"))]
    both = pd.concat(once, axis=1, join="inner")
    return both["a"], both["b"]

def calculate(o):
    op, where = o["op"], o.get("where")
    base = table(o["table"], o.get("given"))
    if op in ("ratio", "difference", "higher"):
        how = o.get("method", "mean")
        if op == "higher":
            a, b = (chosen(rows(base, o[w]), o).agg(how) for w in ("where", "other_where"))
            return int((a > b).sum())
        a = rows(base, where)[o["column"]].astype(float).agg(how)
        b = rows(base, o["other_where"])[o.get("other_column", o["column"])].astype(float).agg(how)
        return a / b if op == "ratio" else a - b
    if op == "corr":
        a, b = pair(o)
        return a.astype(float).corr(b.astype(float), method=o.get("method", "pearson"))
    if op == "agreement":
        a, b = pair(o)
        return (np.sign(a) == np.sign(b)).mean()
    if op in ("overlap", "shared"):
        a = set(ids(table(o["table"], where), o["on"]).index)
        both = a & set(ids(table(o["other"], o.get("other_where")), o.get("other_on", o["on"])).index)
        return len(both) if op == "overlap" else sorted(map(str, both))
    if op == "auroc":
        base = base.dropna(subset=o["column"])
        is_positive = base.index.isin(rows(base, where).index)
        a, b = base[o["column"]][is_positive].to_numpy(float), base[o["column"]][~is_positive].to_numpy(float)
        return ((a[:, None] > b).mean() + (a[:, None] >= b).mean()) / 2
    frame = rows(base, where)
    if op == "count":
        return len(frame)
    if op == "fraction":
        return len(frame) / len(base)
    if op == "columns":
        return sum(bool(re.search(o["match"], c)) for c in frame)
    if op == "nunique":
        return frame[o["column"]].nunique()
    if op == "values":
        return sorted(map(str, frame[o["column"]].dropna().unique()))
    if op == "value":
        return frame[o["column"]].iloc[0]
    if op == "missing":
        return chosen(frame, o).isna().to_numpy().mean()
    if op in ("top", "bottom"):
        values = frame.set_index(o["id"])[o["column"]].astype(float)
        values = values.groupby(level=0).agg(o["method"]) if "method" in o else values
        return values.idxmax() if op == "top" else values.idxmin()
    return getattr(chosen(frame, o).stack(), op)()
"""

TELL = """
item = json.loads(ITEM)
choices = item["choices"]
if item["answer"] is None:
    values = {label: calculate(o) for label, o in choices.items()}
    pick = item["pick"]
    if pick in ("largest", "smallest"):
        result = (max if pick == "largest" else min)(values, key=values.get)
    else:
        result = [label for label, value in values.items() if (value > 0) == (pick == "positive") and value]
else:
    result = calculate(item["answer"])
    wording = {str(value): label for label, value in choices.items()}
    if item["kind"] in ("choice", "set") and choices:
        result = [wording[str(r)] for r in result] if isinstance(result, list) else wording[str(result)]
if item["kind"] == "undetermined":
    assert result == 0
    result = item["undetermined"]
elif item["kind"] == "sign":
    result = "increase" if result > 0 else "decrease"
elif item["kind"] == "choice":
    result = string.ascii_uppercase[item["options"].index(result)]
elif item["kind"] == "set":
    result = ", ".join(result)
elif item["share"]:
    result = 100 * float(result)
print(result)
"""


def code(item: Item) -> str:
    """Return the program that prints the item's answer."""
    content = item.model_dump(mode="json")
    plain = {"kind": item.kind, "pick": item.pick, "options": item.options, "undetermined": UNDETERMINED}
    for name, value in (("answer", item.answer), *item.choices.items()):
        if isinstance(value, Operation):
            dumped = value.model_dump(exclude_none=True, exclude_defaults=True)
            if name == "answer":
                content["answer"] = dumped
            else:
                content["choices"][name] = dumped
    share = item.unit == "%" and item.answer is not None and item.answer.op in ("fraction", "missing", "agreement")
    plain |= {"answer": content["answer"], "choices": content["choices"], "share": share}
    return f"{ANALYST}\nITEM = {json.dumps(plain)!r}\n{TELL}"
