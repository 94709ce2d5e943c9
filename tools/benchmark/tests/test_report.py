import re
import unittest
from html.parser import HTMLParser
from xml.etree import ElementTree

from ..report.markdown import document
from ..report.numbers import number, spread
from ..report.page import page
from ..report.scales import Scale, tick_label
from .sample import sample


class Numbers(unittest.TestCase):
    def test_three_significant_digits(self):
        self.assertEqual([number(value) for value in (0.1234, 1.234, 12.34, 123.4)], ["0.12", "1.23", "12.3", "123"])

    def test_spread(self):
        self.assertEqual(spread([3, 1, 2]), "2.00 [1.00..3.00]")
        self.assertEqual(spread([3]), "3.00")
        self.assertEqual(spread([]), "")


class Scales(unittest.TestCase):
    def test_is_linear_from_zero(self):
        scale = Scale.over([20, 31], 100, is_rate=False)
        self.assertEqual((scale.low, scale.high, scale.is_logarithmic), (0, 40, False))
        self.assertEqual(scale.ticks(), [0, 10, 20, 30, 40])
        self.assertEqual(scale.place(20), 50)

    def test_is_logarithmic_where_figures_lie_far_apart(self):
        scale = Scale.over([0.5, 900], 100, is_rate=False)
        self.assertEqual((scale.low, scale.high, scale.is_logarithmic), (0.1, 1000, True))
        self.assertAlmostEqual(scale.place(10), 50)
        self.assertEqual([tick_label(tick) for tick in scale.ticks()], ["0.1", "1", "10", "100", "1000"])

    def test_is_linear_for_rates(self):
        self.assertFalse(Scale.over([0.5, 900], 100, is_rate=True).is_logarithmic)

    def test_holds_what_it_is_made_for(self):
        for values in ([0.0], [0.0, 5000.0], [1.0], [99.9, 100.1], [1e-3, 1e6]):
            for is_rate in (False, True):
                scale = Scale.over(values, 100, is_rate)
                for value in values:
                    self.assertTrue(0 <= scale.place(value) <= 100, f"{value} of {values}")


class Markdown(unittest.TestCase):
    def test_says_what_was_found_and_what_is_missing(self):
        text = document(sample(), "Martlet")
        self.assertRegex(text, r"\| Martlet +\| 19\.0 \[10\.0\.\.24\.0\] +\| 0\.95 \[0\.80\.\.1\.00\] \|")
        self.assertIn("vde_switch, Loss-free rate: it <ended>", text)
        self.assertRegex(text, r"TCP, 1 stream +\| >= 3 x vde_switch +\| 20\.00 +\| met")

    def test_rows_of_a_table_are_alike(self):
        for table in re.findall(r"(?:^\|.*\n)+", document(sample(), "Martlet"), flags=re.MULTILINE):
            self.assertEqual(len({len(line) for line in table.splitlines()}), 1, table)


class References(HTMLParser):
    """What a page would fetch."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.found += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "data", "xlink:href")]
        if tag in ("script", "link", "iframe", "object"):
            self.found.append(tag)


class Page(unittest.TestCase):
    def setUp(self):
        self.page = page(sample(), "Martlet")

    def test_needs_nothing_from_outside(self):
        self.assertEqual(References(self.page).found, [])
        self.assertNotRegex(self.page, r"https?:|url\(|@import")

    def test_plots_are_well_formed(self):
        plots = re.findall(r"<svg.*?</svg>", self.page, flags=re.DOTALL)
        self.assertEqual(len(plots), 3)
        for plot in plots:
            ElementTree.fromstring(plot)

    def test_text_is_escaped(self):
        for text in ("two &lt;hosts&gt;", "Bulk &lt;TCP&gt;", "iperf3 &amp; fr", "6.18 &amp; more", "it &lt;ended&gt;"):
            self.assertIn(text, self.page)

    def test_every_class_of_a_plot_has_its_style(self):
        used = {name for names in re.findall(r'class="([^"]+)"', self.page) for name in names.split()}
        style = self.page.partition("<style>")[2].partition("</style>")[0]
        self.assertEqual({name for name in used if f".{name}" not in style}, set())
