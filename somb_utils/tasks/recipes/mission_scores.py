"""Pathway scores of animals: one sample table and one table of scores a collection for each mission."""

import re
from typing import Literal

import pandas as pd
from pydantic import Field
from typing_extensions import override

from somb_utils.errors import printable
from somb_utils.tasks.recipes._base import Features, Protocol, Recipe, Spec
from somb_utils.tasks.recipes._reader import Reader


class Mission(Spec):
    """The tables of one mission."""

    group: str = Field(description="what is left out with these rows: the mission, or its tissue")
    samples: str = Field(description="table of samples and labels")
    scores: tuple[str, ...] = Field(description="tables of scores, without the collection that ends their names")
    prefix: str = Field("", description="text before the sample ids that those of the scores lack")

    def tables(self, collection: str) -> list[str]:
        """Return the names of the tables of scores of a collection."""
        return [f"{stem}_{collection}" for stem in self.scores]


class MissionScores(Recipe):
    """Pathway scores of animals: one sample table and one table of scores a collection for each mission."""

    table_fields = ("missions",)
    splits = ("lomo", "lotissue")

    recipe: Literal["mission_scores"]
    missions: tuple[Mission, ...]
    collections: tuple[str, ...] = Field(description="the ends of the names of the tables of scores")
    id: str
    label: str
    labels: dict[str, str] = Field(description="the class of each value of the label column")
    animal: str = Field(
        "",
        description="regular expression of the ids of animals with several samples; its groups identify the animal",
    )

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return tuple(
            name
            for mission in self.missions
            for name in (mission.samples, *(n for c in self.collections for n in mission.tables(c)))
        )

    def build(self, tables: Reader, classes: tuple[str, ...], protocol: Protocol) -> Features:
        """Stack the missions on the pathways that all of them have, each sample joined to its scores by identifier."""
        parts = [self._of_mission(mission, tables) for mission in self.missions]
        X = pd.concat([scores for scores, _ in parts], join="inner")
        samples = pd.concat([rows for _, rows in parts])
        unknown = samples.index[~samples["label"].isin(list(self.labels))]
        if len(unknown):
            label = printable(repr(samples.at[unknown[0], "label"]))
            known = ", ".join(self.labels)
            raise tables.error(f"sample '{printable(unknown[0])}' has the label {label}, not one of {known}")
        return Features(X, samples["label"].map(self.labels), groups=samples["group"])

    def _of_mission(self, mission: Mission, tables: Reader) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return scores, and group and label, of one mission's samples."""
        samples = tables.indexed(mission.samples, self.id)
        blocks = []
        for collection in self.collections:
            names = mission.tables(collection)
            block = pd.concat([tables.numbers(tables.indexed(name, self.id), name) for name in names], join="inner")
            if block.index.has_duplicates:
                row = printable(block.index[block.index.duplicated()][0])
                raise tables.error(f"sample '{row}' is in two tables of scores of {mission.group}")
            blocks.append(tables.paired(block, samples.index.str.removeprefix(mission.prefix)))
        scores = pd.concat(blocks, axis=1).set_axis(samples.index)
        return scores, pd.DataFrame({"group": mission.group, "label": tables.column(samples, self.label)})

    @override
    def sampling_unit(self, row: str) -> str:
        """Return the animal, which may have several samples."""
        found = re.fullmatch(self.animal, row) if self.animal else None
        return "_".join(found.groups()) if found else row
