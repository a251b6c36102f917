"""Check the site without Quarto, and show it.

nbdev processes the notebooks, pandoc turns each into a page; then every link, anchor, image and entry of the sidebar
has to resolve, the README has to be what nbs/index.ipynb yields, and the settings have to be ones that Quarto knows.
`python .ci/site.py` says what is wrong and ends with 1 if anything is; `--out DIR` keeps the pages for a look at them.
"""
import argparse, base64, hashlib, json, os, re, shutil, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
import yaml

here = Path(__file__).resolve().parent
DOCUMENTS = ('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md')

# What Quarto's reference lists and this site could want: keys by the key that they are below, and the values of those that
# have few. A misspelt one is one that Quarto would silently ignore.
KNOWN_KEYS = {
    '': 'project format website metadata-files lang execute',
    'project': 'type output-dir preview resources render',
    'format': 'html commonmark',
    'format.html': 'theme css toc toc-depth toc-title toc-expand keep-md code-copy code-overflow code-fold code-tools anchor-sections smooth-scroll '
                   'link-external-newwindow link-external-icon html-math-method fig-align lightbox grid include-in-header',
    'format.html.theme': 'light dark',
    'format.html.grid': 'body-width sidebar-width margin-width gutter-width',
    'website': 'title description site-url repo-url repo-branch repo-subdir repo-actions favicon image twitter-card open-graph navbar sidebar '
               'search page-navigation page-footer back-to-top-navigation bread-crumbs reader-mode',
    'website.search': 'location type limit collapse-after copy-button show-item-context',
    'website.page-footer': 'left center right background border',
    'website.navbar': 'background foreground title logo left right search collapse pinned',
    'website.sidebar': 'style contents title search collapse-level background pinned align logo',
    'item': 'href text icon section contents aria-label file menu',
}
_themes = ('cerulean cosmo cyborg darkly flatly journal litera lumen lux materia minty morph pulse quartz sandstone simplex sketchy slate solar '
           'spacelab superhero united vapor yeti zephyr')
KNOWN_VALUES = {'project.type': 'website', 'format.html.code-overflow': 'wrap scroll', 'format.html.theme.light': _themes, 'format.html.theme.dark': _themes,
                'website.repo-actions': 'source edit issue none', 'website.sidebar.style': 'floating docked', 'format.html.toc-depth': '1 2 3 4 5 6',
                **{key: 'True False' for key in ('format.html.toc', 'format.html.keep-md', 'website.twitter-card', 'website.open-graph', 'website.page-navigation',
                                                 'website.back-to-top-navigation', 'website.search', 'website.navbar.search')}}
FILE_KEYS = set('href file logo favicon image css include-in-header resources'.split())
DIRECTIVES = set('hide hide_input export exports exporti exec_doc default_exp eval echo output code-fold code-summary fig-alt slow cuda debian'.split())


# Processing

def files_of(proc):
    "What nbdev has put there; not what `pandoc` has kept."
    return [path for path in proc.rglob('*') if path.is_file() and '.pandoc' not in path.parts]


def process(root):
    "Notebooks as nbdev hands them to Quarto, in `root/_proc`; what has not changed since is kept."
    proc, names = root/'_proc', next(root.glob('*/_modidx.py'), None)
    if names and proc.exists() and names.stat().st_mtime > proc.stat().st_mtime: shutil.rmtree(proc)      # links may lead elsewhere now
    for old in files_of(proc):
        if not (root/'nbs'/old.relative_to(proc)).exists(): old.unlink()
    code = 'from nbdev.quarto import refresh_quarto_yml\nfrom nbdev.serve import proc_nbs\nrefresh_quarto_yml(); proc_nbs()'
    done = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    if done.returncode: sys.exit(f'nbdev could not process the notebooks:\n{done.stderr[-3000:]}')
    return proc


def directives(source):
    "The `#| key: value` lines at the head of a cell, and the rest of it."
    found, lines = {}, source.splitlines()
    while lines and (match := re.match(r'#\|\s*([\w-]+)\s*:?\s*(.*)', lines[0])):
        found[match[1]] = match[2].strip('"')
        lines.pop(0)
    return found, '\n'.join(lines).strip('\n')


def fenced(text, kind):
    "A block of `text` as it stands."
    fence = '`' * max(3, 1 + max(map(len, re.findall('`+', text)), default=0))
    return f'{fence}{{.{kind}}}\n{text}\n{fence}'


def output_markdown(output, asis, alt, picture):
    "One output of a cell; `picture(png)` stores a picture and returns its address, `alt` says what is seen."
    text, data = ''.join(output.get('text', '')), output.get('data', {})
    if output['output_type'] == 'error': raise ValueError(f'a cell ended in {output["ename"]}, and that is committed')
    if output.get('name') == 'stderr' and 'warning' in text.lower(): raise ValueError(f'a warning is committed: {text[:80]}')
    if data and not data.keys() & {'image/png', 'text/html', 'text/markdown', 'text/plain'}: raise ValueError(f'no way to show {list(data)}')
    if 'image/png' in data:
        width = output['metadata'].get('image/png', {}).get('width')
        return f'![{alt}]({picture("".join(data["image/png"]))}){{{f"width={width}" if width else ".plain"}}}'
    if 'text/html' in data: return f'\n```{{=html}}\n{"".join(data["text/html"])}\n```\n'
    if 'text/markdown' in data:
        text = ''.join(data['text/markdown'])
        for block in re.findall('^```.*?^```', text, re.M | re.S):
            if link := re.search(r'\S*\]\(http\S*', block): raise ValueError(f'{link[0]}: backticks around a public name in the comment of a parameter, of which nbdev makes a link that is none')
        return text
    text = text or ''.join(data.get('text/plain', ''))
    return text if asis else f'::: {{.cell-output}}\n{fenced(text.rstrip(), "text")}\n:::' if text.strip() else ''


def to_markdown(nb, picture):
    "A processed notebook as the markdown that Quarto would make of it."
    parts = []
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] != 'code': parts.append(source); continue
        options, source = directives(source)
        if options.get('include') == 'false': continue
        if options.get('echo') != 'false' and source:
            block = fenced(source, 'python')
            parts.append(f'<details open><summary>{options["code-summary"]}</summary>\n\n{block}\n\n</details>' if 'code-fold' in options else block)
        for i, output in enumerate(cell['outputs']):
            parts.append(output_markdown(output, options.get('output') == 'asis', options.get('fig-alt', ''), lambda png, name=f'{cell["id"]}-{i}': picture(name, png)))
    return '\n\n'.join(parts) + '\n'


def pandoc(markdown, *options, reader='markdown-implicit_figures', kept=None):
    "`markdown` as HTML, from the folder `kept` if it is there; ValueError with pandoc's words if it has something to say."
    import pypandoc
    template = [Path(option.partition('=')[2]).read_text(encoding='utf-8') for option in options if option.startswith('--template=')]
    key = hashlib.sha256(repr((reader, markdown, template)).encode()).hexdigest()
    if kept and (kept/key).exists(): return (kept/key).read_text(encoding='utf-8')
    done = subprocess.run([pypandoc.get_pandoc_path(), '-f', reader, '-t', 'html5', '--mathml', '--fail-if-warnings', *options],
                          input=markdown, capture_output=True, text=True)
    if done.returncode or done.stderr: raise ValueError(f'pandoc: {" ".join(done.stderr.split())}')
    if kept:
        kept.mkdir(exist_ok=True)
        (kept/key).write_text(done.stdout, encoding='utf-8')
    return done.stdout


# Pages

class Page(HTMLParser):
    "What a page offers and asks for: its anchors, links and pictures, and text that looks like a broken link; the menus apart."
    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.images, self.broken, self.inside, self.menus = set(), [], [], [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if 'id' in attrs: self.ids.add(attrs['id'])
        self.menus += tag == 'nav'
        if tag == 'a' and 'href' in attrs and not self.menus: self.links.append(attrs['href'])
        if tag in ('img', 'source') and 'src' in attrs: self.images.append(attrs['src'])
        if tag in ('code', 'pre', 'style', 'math', 'script'): self.inside.append(tag)

    def handle_endtag(self, tag):
        self.menus -= tag == 'nav'
        if self.inside and self.inside[-1] == tag: self.inside.pop()

    def handle_data(self, data):
        if not self.inside: self.broken += re.findall(r'\S*\]\(\S*|\S*\]\[\S*', data)


def front_matter(nb):
    "Title, description and output file of a processed notebook."
    first = ''.join(nb['cells'][0]['source']) if nb['cells'] else ''
    match = re.match(r'---\n(.*?)\n---', first, re.S)
    return yaml.safe_load(match[1]) if match else {}


def copy(source, target):
    "The file, in folders that are made if they are not there."
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


class Site:
    "The pages of the checkout `root`, by the path of their notebook; written to `out` as HTML, code in colours if `colours`."
    def __init__(self, root, out, colours):
        self.proc = proc = process(root)
        self.out, self.colours, self.problems = out, colours, []
        self.config = yaml.safe_load((root/'_quarto.yml').read_text(encoding='utf-8'))
        self.website = {**yaml.safe_load((proc/'nbdev.yml').read_text(encoding='utf-8'))['website'], **self.config['website']}
        notebooks = sorted(p for p in proc.rglob('*.ipynb') if 'ipynb_checkpoints' not in str(p))
        self.nbs = {p.relative_to(proc).as_posix(): json.loads(p.read_text(encoding='utf-8')) for p in notebooks}
        self.matter = {path: front_matter(nb) for path, nb in self.nbs.items()}
        self.targets = {path: Path(path).with_name(matter.get('output-file', Path(path).stem + '.html')).as_posix() for path, matter in self.matter.items()}
        for path in files_of(proc):
            if path.suffix not in ('.ipynb', '.yml'): copy(path, out/path.relative_to(proc))
        with ThreadPoolExecutor(os.cpu_count()) as pool: pages = list(pool.map(self.convert, self.nbs))
        self.pages = {path: page for path, page in zip(self.nbs, pages) if page is not None}

    def say(self, where, what): self.problems.append(f'{where}: {what}')

    def entries(self):
        "The sidebar's pages, in order: (section, path, text)."
        def walk(items, section):
            for item in items:
                if isinstance(item, str): yield section, item, None
                elif 'section' in item: yield from walk(item.get('contents', []), item['section'])
                else: yield section, item.get('href', item.get('file')), item.get('text')
        return list(walk(self.config['website']['sidebar']['contents'], ''))

    def convert(self, path):
        "The page of a notebook, written to `out`; None, and a problem, if pandoc does not take it."
        target = self.out/self.targets[path]
        def picture(name, png):
            file = target.with_name(f'{Path(path).stem}_files')/f'{name}.png'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(base64.b64decode(png))
            return file.relative_to(target.parent).as_posix()
        template = here/'page.html'
        try:
            markdown = to_markdown(self.nbs[path], picture)
            if not self.colours: markdown = re.sub(r'^(```+) ?{?\.?(?:python|sh|bash)}?$', r'\1', markdown, flags=re.M)       # most of pandoc's time goes into them
            html = pandoc(markdown, '--standalone', f'--template={template}', '--toc', '--toc-depth=3', kept=self.proc/'.pandoc')
        except ValueError as e: return self.say(path, str(e))
        given = dict(up='../' * path.count('/'), nav=self.navigation(path), site=self.website['title'], repo=self.website['repo-url'],
                     css=self.config['format']['html'].get('css', ''), favicon=self.website.get('favicon', ''))
        html = re.sub(r'@@(\w+)@@', lambda m: given[m[1]], html)
        page = Page(html)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(re.sub(r'(href=")([^":]+\.ipynb)(#[^"]*)?"', lambda m: f'{m[1]}{self._href(path, m[2])}{m[3] or ""}"', html), encoding='utf-8')
        return page

    def _href(self, path, link):
        "The address of a notebook's page, from the page of `path`."
        wanted = os.path.normpath(os.path.join(os.path.dirname(path), unquote(link)))
        return os.path.relpath(self.targets.get(wanted, wanted), os.path.dirname(path) or '.')

    def navigation(self, path):
        "The sidebar, as HTML."
        parts, last = [], ''
        for section, entry, text in self.entries():
            if section != last: parts.append(f'<h4>{escape(section)}</h4>'); last = section
            here_now = ' class="here"' if entry == path else ''
            title = text or self.matter.get(entry, {}).get('title', entry)
            parts.append(f'<a href="{"../" * path.count("/")}{entry}"{here_now}>{escape(title)}</a>')
        return '\n'.join(parts)


# Checks

def leaves(node, where=''):
    "Pairs of a dotted key and its value, for all values in the settings; items of a menu are below `item`."
    for key, value in node.items():
        inner = f'{where}.{key}'.lstrip('.')
        yield inner, value
        if isinstance(value, dict): yield from leaves(value, inner)
        for item in value if isinstance(value, list) else []:
            if isinstance(item, dict): yield from leaves(item, 'item')


def check_keys(site):
    "Keys and values of the settings that Quarto would not know, and files that are not there."
    for path, value in [('', site.config), *leaves(site.config)]:
        above, _, key = path.rpartition('.')
        if path and key not in KNOWN_KEYS[above].split() if above in KNOWN_KEYS else bool(above): site.say('_quarto.yml', f'{path}: a key that Quarto does not know')
        if isinstance(value, dict) and path not in KNOWN_KEYS: site.say('_quarto.yml', f'{path}: has no keys below it')
        for one in value if isinstance(value, list) else [value]:
            if path in KNOWN_VALUES and not isinstance(one, dict) and str(one) not in KNOWN_VALUES[path].split(): site.say('_quarto.yml', f'{path}: {one}: a value that Quarto does not know')
            if key in FILE_KEYS and isinstance(one, str) and not urlsplit(one).scheme and one not in site.nbs and not (site.proc/one).exists():
                if not (key in ('href', 'file') and one in [entry for _, entry, _ in site.entries()]): site.say('_quarto.yml', f'{key}: {one}: no such file')


def check_directives(site, root):
    "Directives of cells that neither nbdev nor Quarto nor the tests know, as `#| exprot`."
    for path in site.nbs:
        for cell in json.loads((root/'nbs'/path).read_text(encoding='utf-8'))['cells']:
            if cell['cell_type'] != 'code': continue
            for key in re.findall(r'^#\|\s*([\w-]+)', ''.join(cell['source']), re.M):
                if key not in DIRECTIVES: site.say(f'{path}, cell {cell["id"]}', f'#| {key}: an unknown directive')


def check_titles(site, root):
    "A page begins with a cell of title and purpose and nothing else: what else stands there, nbdev drops."
    for path in site.nbs:
        first = ''.join(json.loads((root/'nbs'/path).read_text(encoding='utf-8'))['cells'][0]['source'])
        if not re.fullmatch(r'# [^\n]+\n+> [^\n]+\n*', first): site.say(path, 'the first cell should be "# Title" and "> purpose", one line each, and nothing else')


def check_sidebar(site, root):
    "Each entry is a page, each page is an entry, the files that the settings name are there."
    entries = [entry for _, entry, _ in site.entries()]
    for entry in entries:
        if entry not in site.nbs: site.say('_quarto.yml', f'sidebar: {entry}: no such page')
        if entries.count(entry) > 1: site.say('_quarto.yml', f'sidebar: {entry}: more than once')
    for path in site.nbs.keys() - set(entries): site.say('_quarto.yml', f'sidebar: {path} is missing')
    for path in files_of(site.proc):
        if path.suffix in ('.md', '.qmd'): site.say(path.relative_to(site.proc).as_posix(), 'Quarto would make a page of it that is not checked here')
    link = root/'nbs'/'_quarto.yml'
    if not link.is_symlink() or link.resolve() != (root/'_quarto.yml').resolve(): site.say('nbs/_quarto.yml', 'should be a symbolic link to ../_quarto.yml')


def anchor_missing(page, anchor): return anchor and anchor not in page.ids


def check_link(site, root, where, base, link, pages, document=False):
    "One link of a page (`base`: its folder); links to other hosts are only read, not followed."
    url, fragment = urlsplit(link), unquote(urlsplit(link).fragment)
    if not link: return site.say(where, 'a link to nowhere')
    own, repo = site.website['site-url'].rstrip('/'), site.website['repo-url'].rstrip('/')
    if link == own or link.startswith(f'{own}/'):
        target = unquote(link[len(own):].split('#')[0]).lstrip('/') or 'index.html'
        path = {t: p for p, t in site.targets.items()}.get(target)
        if path is None: return site.say(where, f'{link}: no such page')
        if path in pages and anchor_missing(pages[path], fragment): site.say(where, f'{link}: no such anchor')
    elif link == repo or link.startswith(f'{repo}/'):
        match = re.match(r'/(?:blob|tree|raw)/([^/]+)/(.*)', url.path[len(urlsplit(repo).path):])
        if match and match[1] != site.website['repo-branch']: site.say(where, f'{link}: the branch is {site.website["repo-branch"]}')
        elif match and not (root/unquote(match[2])).exists(): site.say(where, f'{link}: no such file in the repository')
    elif url.scheme in ('http', 'https', 'mailto'):
        if url.scheme != 'mailto' and '.' not in url.netloc: site.say(where, f'{link}: not an address')
    elif url.scheme or link.startswith('/'): site.say(where, f'{link}: neither relative nor http')
    elif not url.path:
        if anchor_missing(pages[where], fragment): site.say(where, f'{link}: no such anchor')
    else:
        wanted = os.path.normpath(os.path.join(base, unquote(url.path)))
        pages_of = {f'nbs/{path}': path for path in site.nbs} if document else {**{t: p for p, t in site.targets.items()}, **{p: p for p in site.nbs}}
        if page := pages_of.get(wanted):
            if page in pages and anchor_missing(pages[page], fragment): site.say(where, f'{link}: no such anchor')
        elif wanted.startswith('..') or not ((root if document else site.out)/wanted).exists(): site.say(where, f'{link}: no such file')


def check_links(site, root):
    "All links and pictures, of the pages and of the documents at the top."
    own = site.website['site-url']
    if not any(link.startswith(f'{own}/') for page in site.pages.values() for link in page.links):
        site.say('pages', 'no name in backticks has become a link to its documentation: is the package installed (pip install -e .)?')
    for path, page in site.pages.items():
        for link in dict.fromkeys(page.links + page.images): check_link(site, root, path, os.path.dirname(path), link, site.pages)
        for text in dict.fromkeys(page.broken): site.say(path, f'{text}: a link that is none (backticks around a public name make one, inside a link, too)')
    for name in DOCUMENTS:
        if not (root/name).exists(): site.say(name, 'no such file'); continue
        try: page = Page(pandoc((root/name).read_text(encoding='utf-8'), reader='gfm'))
        except ValueError as e: site.say(name, str(e)); continue
        for link in dict.fromkeys(page.links + page.images): check_link(site, root, name, '', link, {**site.pages, name: page}, document=True)


def check_readme(site, root):
    "The README is what index.ipynb yields."
    done = subprocess.run([sys.executable, str(root/'.ci'/'readme.py'), '--check'], capture_output=True, text=True)
    if done.returncode: site.say('README.md', done.stderr.strip())


def check(root, out, colours=True):
    "All checks of the checkout `root`; the pages are left in `out`. What is wrong, as a list of lines."
    site = Site(root, Path(out), colours)
    check_keys(site); check_directives(site, root); check_titles(site, root); check_sidebar(site, root); check_links(site, root); check_readme(site, root)
    return site, sorted(site.problems)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', type=Path, default=here.parent, help='the checkout')
    parser.add_argument('--out', type=Path, help='keep the pages here')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        site, problems = check(args.root.resolve(), args.out or scratch, colours=bool(args.out))
    print('\n'.join(problems) or f'{len(site.pages)} pages: every link, anchor, picture and entry of the sidebar resolves.')
    sys.exit(bool(problems))
