"""Make each page as nbdev makes it for Quarto, which is not needed for it, and say which ones fail.

`nbdev_docs` stops at such a page. `python .ci/pages.py` exits with 1 if there is one. Pages are made in a
temporary folder.
"""
import os, sys, tempfile
from pathlib import Path
from nbdev.serve import FilterDefaults
from nbdev.serve_drv import main

root = Path(__file__).parent.parent.resolve()
os.chdir(root)
failed = []
with tempfile.TemporaryDirectory() as place:
    for path in sorted((root/'nbs').rglob('*.ipynb')):
        if '.ipynb_checkpoints' in path.parts: continue
        out = Path(place)/path.relative_to(root/'nbs')
        out.parent.mkdir(parents=True, exist_ok=True)
        try: main((path, out, FilterDefaults))
        except Exception as error: failed.append(f'{path.relative_to(root)}: {type(error).__name__}: {error}')
for problem in failed: print(problem)
sys.exit(bool(failed))
