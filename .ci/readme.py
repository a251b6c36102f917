"Write README.md from nbs/index.ipynb; with --check, only say whether the two agree."
import base64, json, re, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
images = Path('nbs/images')


def text_of(output):
    "The plain text of an output, and its picture, if it has one."
    data = output.get('data', {})
    text = ''.join(output.get('text') or data.get('text/plain') or [])
    return text, ''.join(data.get('image/png', ''))


def below_nbs(markdown):
    "Relative links start at the page in nbs/; the README is one folder up."
    return re.sub(r'\]\((?!\w+:|#)([^)\s]+)\)', r'](nbs/\1)', markdown)


def render(nb):
    "Markdown of a notebook without its hidden and exported cells; pictures by file name."
    parts, files = [], {}
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown': parts.append(below_nbs(source))
        directives = dict(re.findall(r'^#\|\s*([\w-]+):?[ \t]*(.*)$', source, re.M))
        is_unseen = directives.keys() & {'hide', 'export', 'exporti', 'exports', 'default_exp'}
        if cell['cell_type'] != 'code' or is_unseen: continue
        if directives.get('echo') != 'false': parts.append(f'```python\n{source}\n```')
        for output in cell['outputs']:
            text, picture = text_of(output)
            if picture:
                name = f'{cell["id"]}.png'
                files[name] = base64.b64decode(picture)
                parts.append(f'![{directives.get("fig-alt", "")}]({(images/name).as_posix()})')
            elif text: parts.append('\n'.join(f'    {line}' for line in text.rstrip().splitlines()))
    warning = '<!-- Made from nbs/index.ipynb by .ci/readme.py: edit the notebook. -->'
    return '\n\n'.join([parts[0], warning, *parts[1:]]) + '\n', files


markdown, files = render(json.loads((root/'nbs'/'index.ipynb').read_text(encoding='utf-8')))
wanted = {root/'README.md': markdown.encode(), **{root/images/name: content for name, content in files.items()}}
left_over = [path for path in (root/images).glob('*') if path not in wanted]
if '--check' in sys.argv:
    stale = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    stale = [path.relative_to(root).as_posix() for path in [*stale, *left_over]]
    if stale: sys.exit(f'{", ".join(stale)}: not what nbs/index.ipynb yields; run python .ci/readme.py')
else:
    for path in left_over: path.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
