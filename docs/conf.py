"""The documentation site: ``make docs`` builds it into build/docs, without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from nuanalysis import __version__

project = "nuanalysis"
copyright = "the nuanalysis developers, BSD-3-Clause"
version = release = __version__.partition("+")[0]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline", "generated"]
exclude_patterns = ["_ext", "**/.ipynb_checkpoints"]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # shown as they stand; the suite and `nuanalysis notebooks run` execute them
nb_ipywidgets_js = {}  # they would be loaded from elsewhere
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
python_maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_title = "nuanalysis"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"tutorial": []}  # a page of its own has no neighbours to list
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
