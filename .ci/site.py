"""Check the pages of the web site, and the documents at the top, without building the site.

Links, anchors and pictures exist, and the cells that CONTRIBUTING.md names; the sidebar has each page once, and nbdev
can make a page of each notebook.
`python .ci/site.py` prints what is wrong, and exits with 1 if anything is. Links to other hosts are not visited.
"""
import ast, json, os, re, runpy, sys
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import unquote
import yaml

root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
nbs = root/'nbs'
DOCUMENTS = 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'
EXPORTS = {'export', 'exports', 'exporti'}
DIRECTIVES = EXPORTS | {'hide', 'default_exp', 'eval', 'echo', 'output', 'code-fold', 'code-summary', 'fig-alt'}
LINK = re.compile(r'\]\(([^)\s]*)|(?:href|src)="([^"]*)"')
problems = []


def wrong(path, what): problems.append(f'{path.relative_to(root).as_posix()}: {what}')


def anchor_of(heading):
    "The anchor that Quarto gives a heading."
    text = re.sub(r'\]\([^)]*\)|[^\w\s.-]', '', heading).strip().lower()
    return re.sub(r'^[^a-z]+', '', re.sub(r'\s', '-', text))


def html_of(path):
    "The page that nbdev makes of a notebook: graphs.html of 10_graphs.ipynb."
    return path.with_name(re.sub(r'^\d+[a-z]?_', '', path.stem) + '.html')


class Page:
    "A notebook's cells, or none; the links, anchors and linked code of its text."
    def __init__(self, path):
        text, self.cells = path.read_text(encoding='utf-8'), []
        if path.suffix == '.ipynb':
            self.cells = json.loads(text)['cells']
            text = '\n\n'.join(shown for cell in self.cells for shown in self.shown(cell))
        text = re.sub(r'^ *```.*?^ *```', '', text, flags=re.M | re.S)                # code has no links
        self.linked_code = set(re.findall(r'\[[^]\[]*`([\w.]+)`[^]\[]*\]\(', text))
        self.anchors = {anchor_of(heading) for heading in re.findall(r'^#+ (.*)', text, re.M)}
        self.links = [markdown or html for markdown, html in LINK.findall(re.sub(r'`[^`\n]*`', '', text))]

    def shown(self, cell):
        "The texts of a cell, and of its outputs, that may have links."
        if cell['cell_type'] == 'markdown': yield ''.join(cell['source'])
        for output in cell.get('outputs', []): yield ''.join(output.get('data', {}).get('text/markdown', ''))


def check_links(path, page, pages, settings):
    "Each link leads to a file, and to an anchor that is there."
    own = settings['doc_host'] + settings['doc_baseurl'] + '/'
    repository = f'{settings["git_url"]}/blob/{settings["branch"]}/'
    by_html = {html_of(p): p for p in pages}
    for link in dict.fromkeys(page.links):
        address, _, anchor = unquote(link).partition('#')
        if address.startswith(own): file = nbs/address.removeprefix(own)
        elif address.startswith(repository): file = root/address.removeprefix(repository)
        elif re.match(r'\w+:', address): continue
        else: file = Path(os.path.normpath(path.parent/address)) if address else path
        file = by_html.get(file, file)
        if not link or not file.exists(): wrong(path, f'{link}: no such file')
        elif anchor and file in pages and anchor not in pages[file].anchors: wrong(path, f'{link}: no such anchor')


def mixes_imports(source):
    "Are there imports and other code? To document exports, nbdev runs cells with imports, and no others beside."
    kinds = {isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in ast.parse(source).body}
    return kinds == {True, False}


def check_cells(path, cells, flags):
    "What nbdev or Quarto would drop, or stumble over."
    if not re.fullmatch(r'# [^\n]+\n+> [^\n]+\n*', ''.join(cells[0]['source'])):
        wrong(path, 'the first cell should be "# Title" and "> purpose", one line each, and nothing else')
    documented = path.parent == nbs and path.name != 'index.ipynb'
    for cell in cells:
        source, where = ''.join(cell['source']), f'cell {cell["id"]}'
        if cell['cell_type'] != 'code': continue
        keys = set(re.findall(r'^#\|\s*([\w-]+)', source, re.M))
        if keys - flags: wrong(path, f'{where}: #| {" ".join(keys - flags)}: an unknown directive')
        is_example = not keys & EXPORTS and 'nbdev_export()' not in source
        if documented and is_example and mixes_imports(source):
            wrong(path, f'{where}: imports should have a cell of their own')
        for output in cell['outputs']:
            if output['output_type'] == 'error' or 'Warning:' in ''.join(output.get('text', '')):
                wrong(path, f'{where}: an error or a warning in its output')


def check_sidebar(notebooks):
    "Each page is in the sidebar, once."
    def entries(items):
        for item in items:
            if isinstance(item, str): yield item
            elif 'section' in item: yield from entries(item['contents'])
            else: yield item.get('href') or item.get('file')
    config = root/'_quarto.yml'
    found = list(entries(yaml.safe_load(config.read_text(encoding='utf-8'))['website']['sidebar']['contents']))
    pages = {path.relative_to(nbs).as_posix() for path in notebooks}
    for entry in found:
        if entry not in pages: wrong(config, f'sidebar: {entry}: no such page')
        if found.count(entry) > 1: wrong(config, f'sidebar: {entry}: more than once')
    for missing in pages - set(found): wrong(config, f'sidebar: {missing} is missing')
    if (nbs/'_quarto.yml').resolve() != config: wrong(nbs/'_quarto.yml', 'should be a link to ../_quarto.yml')


def check():
    "All of that for all pages."
    parser = ConfigParser(delimiters=['='])
    parser.read(root/'settings.ini', encoding='utf-8')
    settings, names = parser['DEFAULT'], set()
    notebooks = [path for path in nbs.rglob('*.ipynb') if not re.search(r'/[._]', path.relative_to(root).as_posix())]
    pages = {path: Page(path) for path in [*notebooks, *(root/name for name in DOCUMENTS)]}
    by_html = {html_of(path): pages[path] for path in notebooks}
    for module, symbols in runpy.run_path(str(root/settings['lib_path']/'_modidx.py'))['d']['syms'].items():
        for name, (address, _) in symbols.items():
            file, _, anchor = address.partition('#')
            names.add(name.removeprefix(f'{module}.'))
            by_html[nbs/file].anchors.add(anchor)
    flags = DIRECTIVES | set(settings['tst_flags'].split())
    for path, page in pages.items():
        check_links(path, page, pages, settings)
        for name in page.linked_code & names: wrong(path, f'`{name}` in a link: nbdev would put a link into it')
        if page.cells: check_cells(path, page.cells, flags)
    for name, ids in re.findall(r'rerun\.py (\S+) --only (\S+)', (root/'CONTRIBUTING.md').read_text(encoding='utf-8')):
        known = {cell['id'] for cell in pages[root/name].cells} if root/name in pages else set()
        for id in set(ids.split(',')) - known: wrong(root/'CONTRIBUTING.md', f'{name} has no cell {id}')
    check_sidebar(notebooks)


if __name__ == '__main__':
    check()
    print('\n'.join(sorted(problems)) or 'Links, anchors, pictures and the sidebar are right.')
    sys.exit(bool(problems))
