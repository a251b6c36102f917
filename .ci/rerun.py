"""Run a notebook again, and keep the new outputs of the cells that a reader sees, or of those that are named.

    python .ci/rerun.py nbs/72_training.ipynb                            # all outputs, but for slow cells
    python .ci/rerun.py nbs/72_training.ipynb --only fit-show,fit-plot   # the outputs of two cells, by their ids
    python .ci/rerun.py nbs/72_training.ipynb --flags slow               # slow cells as well

If a cell fails, the outputs of those before it are kept. Cells that were edited meanwhile stay as they are.
"""
import argparse, os, sys
from pathlib import Path

os.environ['MPLBACKEND'] = 'agg'

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from nbdev.config import get_config
from nbdev.process import extract_directives

UNSEEN = {'hide', 'export', 'exporti', 'exports', 'default_exp'}


def is_run(cell, directives, left_out):
    "Does the cell run?"
    if cell.cell_type != 'code' or 'nbdev_export()' in cell.source: return False
    return not left_out & directives.keys() and directives.get('eval:') != ['false']


def keep(path, found):
    "Write outputs into the file as it is now: to cells whose source is still the one that ran."
    now = read_nb(path)
    for cell in now.cells:
        source, outputs = found.get(cell['id'], (None, None))
        if source == cell.source: cell.outputs = outputs
    write_nb(now, path)


def rerun(path, only, flags):
    "Run the notebook and keep its new outputs: of the cells `only`, or of all that a reader sees if it is empty."
    nb, left_out = read_nb(path), set(get_config().tst_flags.split()) - flags
    unknown = only - {cell['id'] for cell in nb.cells}
    if unknown: sys.exit(f'{path.name} has no cell {", ".join(sorted(unknown))}')
    os.chdir(path.parent)
    shell, found = CaptureShell(path), {}
    for cell in nb.cells:
        directives = extract_directives(cell, remove=False)
        if not is_run(cell, directives, left_out): continue
        cell.outputs = []
        shell.cell(cell)
        if shell.exc: break
        is_wanted = cell['id'] in only if only else not UNSEEN & directives.keys()
        if is_wanted: found[cell['id']] = cell.source, cell.outputs
    keep(path, found)
    if shell.exc: sys.exit(f'cell {cell["id"]}: {shell.prettytb(fname=path)}')


def words(text): return {word for word in text.split(',') if word}


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('notebook', type=Path)
    parser.add_argument('--only', type=words, default=set(), help='ids of cells, separated by commas')
    parser.add_argument('--flags', type=words, default=set(), help='run cells under these flags as well: slow,cuda')
    given = parser.parse_args()
    rerun(given.notebook.resolve(), given.only, given.flags)
