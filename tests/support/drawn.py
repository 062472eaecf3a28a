"""What a page draws and writes, measured: charts are canvases, whose texts and colours no selector finds."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

# Every text and every fill of a canvas is noted before it is drawn; where it ended up is asked for later.
_LISTEN = """
window.drawn = [];
const canvas = CanvasRenderingContext2D.prototype;
const [text, fill] = [canvas.fillText, canvas.fill];
canvas.fillText = function (said, x, y, ...rest) {
  const at = this.getTransform(), width = this.measureText(said).width * at.a;
  const part = {left: 0, start: 0, center: 0.5, right: 1, end: 1}[this.textAlign];
  const left = at.a * x + at.c * y + at.e - part * width;
  if (at.b === 0) window.drawn.push({canvas: this.canvas, said: String(said), left, right: left + width});
  return text.call(this, said, x, y, ...rest);
};
canvas.fill = function (...rest) {
  window.drawn.push({canvas: this.canvas, colour: String(this.fillStyle)});
  return fill.call(this, ...rest);
};
"""
_DRAWN = """() => window.drawn.flatMap(({canvas, ...drawn}) => {
  const chart = canvas.closest('[data-test-chart-name]');
  return chart ? [{...drawn, width: canvas.width, chart: chart.dataset.testChartName}] : [];
})"""
# Texts that are wider or higher than the box which hides the rest of them.
_CUT = """() => [...document.querySelectorAll('.dashboard-content *, .filter-bar *')].flatMap(element => {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility()) return [];
  const chart = element.closest('[data-test-chart-name]')?.dataset.testChartName ?? 'the page';
  const box = element.getBoundingClientRect();
  if (box.width <= 1 || box.height <= 1) return [];  // for screen readers
  for (let around = element; around && around !== document.body; around = around.parentElement) {
    const style = getComputedStyle(around), edge = around.getBoundingClientRect();
    const hides = style.overflowX !== 'visible' && style.overflowX !== 'auto' && style.overflowX !== 'scroll';
    const isCut = around === element ? around.scrollWidth > around.clientWidth + 1 : box.right > edge.right + 1;
    if (hides && isCut) return [`${chart}: ${element.textContent.trim()}`];
    if (style.overflowX === 'auto' || style.overflowX === 'scroll') return [];
  }
  return [];
})"""


@dataclass(frozen=True)
class Drawn:
    """What was drawn on a canvas: a text with its place, or a colour that something was filled with."""

    chart: str
    width: float
    said: str = ""
    left: float = 0
    right: float = 0
    colour: str = ""

    @property
    def is_cut(self) -> bool:
        """Whether the text does not fit its canvas, or was shortened to fit."""
        return self.left < -1 or self.right > self.width + 1 or self.said.endswith(("…", "..."))


def listen(page: Page) -> None:
    """Note what the page draws from its next address on."""
    page.add_init_script(_LISTEN)


def drawn(page: Page) -> list[Drawn]:
    """What has been drawn so far on the canvases that are still there."""
    found: list[dict[str, Any]] = page.evaluate(_DRAWN)
    return [Drawn(**one) for one in found]


def cut_texts(page: Page) -> list[str]:
    """Texts of the page of which a part is hidden, with their chart."""
    found: list[str] = page.evaluate(_CUT)
    return found
