"""What a cell shows: figures, notes and a progress bar."""

import base64
import io
import re
from html import escape
from inspect import cleandoc
from typing import Any


class Bar:
    """A progress bar in a cell, which ends as one line that says the same whether folds were fitted now or before."""

    def start(self, jobs: int, cost: float) -> None:
        """Show how much there is to do."""
        from IPython.display import display

        self.total, self.done = jobs, 0
        self.handle = display(self._html("…"), display_id=True)

    def advance(self, cost: float, label: str) -> None:
        """Count one finished job."""
        self.done += 1
        self._update(self._html(label))

    def finish(self, jobs: int) -> None:
        """Say how many jobs stand finished, those of earlier runs included."""
        from IPython.display import HTML

        self._update(HTML(f"{jobs} fold jobs done"))

    def _html(self, label: str) -> Any:
        from IPython.display import HTML

        bar = f'<progress max="{self.total}" value="{self.done}" style="width:16em"></progress>'
        return HTML(f"{bar} {self.done} of {self.total} fold jobs: {escape(label)}")

    def _update(self, content: Any) -> None:
        if self.handle is not None:  # there is none outside a notebook
            self.handle.update(content)


def show(thing: Any) -> None:
    """Display an object in the cell.

    Parameters
    ----------
    thing
        A sentence, as Markdown; a figure, as PNG with its titles as the text for those who see no image; or anything
        that IPython can display.
    """
    from IPython.display import Markdown, display
    from PIL import Image

    if not hasattr(thing, "savefig"):
        display(Markdown(cleandoc(thing)) if isinstance(thing, str) else thing)
        return
    raw, stream = io.BytesIO(), io.BytesIO()
    thing.savefig(raw, dpi=140, pil_kwargs={"compress_level": 0})
    # A palette of 256 colours keeps the stored notebooks to a fourth of the size.
    Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    titles = [*[axes.get_title(loc="left") for axes in thing.axes], thing.get_suptitle()]
    said = "Figure: " + "; ".join(" ".join(title.split()) for title in titles if title)
    width = {"width": int(thing.get_figwidth() * 100)}
    bundle = {"image/png": base64.b64encode(stream.getvalue()).decode(), "text/plain": said}
    display(bundle, raw=True, metadata={"image/png": width})


def note(text: str) -> None:
    """Display a remark, which is plain text, marked at its side."""
    from IPython.display import HTML

    show(HTML(f'<div class="somb-note" style="border-left:4px solid #E69F00;padding:.4em 1em">{escape(text)}</div>'))


def literal(text: str) -> str:
    """Return text as Markdown that shows it as it is, whatever marks it holds."""
    return re.sub(r"([\\`*_{}\[\]<>$#|~])", r"\\\1", text)
