"""Two promises of the built site that Sphinx doesn't check: figures are described, and [docs] links lead somewhere.

A figure of an executed cell without `mystnb: image: alt:` is a warning, which `-W` makes an error. On the pages with
the source code, the [docs] links of what another module re-exports point to names that the reference doesn't have:
these are mended, and removed where it has none.
"""

import re

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)
LEAST = 20  # characters that a description has at least


def _check_descriptions(app, doctree, docname):
    for image in doctree.findall(nodes.image):
        drawn = "jupyter_execute" in image.get("uri", "")
        if drawn and len(image.get("alt", "")) < LEAST:
            logger.warning("%s has a figure without a description: give its cell a mystnb: image: alt:", docname)


def _mend_links(app, pagename, templatename, context, doctree):
    if not pagename.startswith("_modules/") or "body" not in context:
        return
    module = pagename.removeprefix("_modules/").replace("/", ".")
    objects = app.env.domaindata["py"]["objects"]

    def mended(match):
        name = match["name"]
        if name in objects:
            return match[0]
        parts = name.split(".")
        for start in range(len(parts)):
            found = objects.get(".".join([module, *parts[start:]]))
            if found is not None:
                target = app.builder.get_relative_uri(pagename, found.docname)
                return f"{match['before']}{target}#{found.node_id}{match['after']}"
        return ""

    link = r'(?P<before><a class="viewcode-back" href=")[^"#]*#(?P<name>[^"]+)(?P<after>">\[docs\]</a>)'
    context["body"] = re.sub(link, mended, context["body"])


def setup(app):
    app.connect("doctree-resolved", _check_descriptions)
    app.connect("html-page-context", _mend_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
