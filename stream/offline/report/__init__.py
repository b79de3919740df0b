"""One HTML file that tells a person what a run did.

`page` puts it together, `run` reads a run, the others make numbers and sentences; `page.html`, `page.css` and
`page.js` draw them.
"""

__all__: list[str] = []
