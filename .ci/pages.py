"""Make each page as nbdev makes it for Quarto, which is not needed for it, and say which ones fail.

`nbdev_docs` stops at such a page. A function without a docstring fails, too: nbdev would show Python's own for it.
`python .ci/pages.py` exits with 1 if anything fails. Pages are made in a temporary folder.
"""
import os, re, sys, tempfile
from pathlib import Path
from execnb.nbio import read_nb
from nbdev.serve import FilterDefaults
from nbdev.serve_drv import main


def undocumented(page):
    "Names whose documentation on a page is Python's own."
    for cell in page.cells:
        text = str(cell.get('outputs', ''))
        if 'Call self as a function' in text or 'Helper for pickle' in text:
            yield re.search(r'show_doc\((\S+)\)', cell.source)[1]


root = Path(__file__).parent.parent.resolve()
os.chdir(root)
failed = []
with tempfile.TemporaryDirectory() as place:
    for path in sorted((root/'nbs').rglob('*.ipynb')):
        if '.ipynb_checkpoints' in path.parts: continue
        out = Path(place)/path.relative_to(root/'nbs')
        out.parent.mkdir(parents=True, exist_ok=True)
        name = path.relative_to(root)
        try: main((path, out, FilterDefaults))
        except Exception as error: failed.append(f'{name}: {type(error).__name__}: {error}')
        else: failed += [f'{name}: {shown} has no docstring' for shown in undocumented(read_nb(out))]
for problem in failed: print(problem)
sys.exit(bool(failed))
