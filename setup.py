"All metadata lives in settings.ini; this file hands it to setuptools."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']

statuses = {'3': '3 - Alpha', '4': '4 - Beta', '5': '5 - Production/Stable'}
py_minor = int(cfg['min_python'].split('.')[1])
git_url, docs = cfg['git_url'], cfg['doc_host'] + cfg['doc_baseurl'] + '/'


def absolute(match):
    "A link of the README to a file of the repository, as it works on a page elsewhere, PyPI's for example."
    kind = 'raw' if match[2].lower().endswith(('.png', '.gif', '.jpg', '.svg')) else 'blob'
    return f'{match[1]}{git_url}/{kind}/{cfg["branch"]}/{match[2]}'


prose_and_code = (here/'README.md').read_text(encoding='utf-8').split('```')
relative = r'(\]\(|(?:src|href)=")(?![a-z]+:|#|/)([^)"\s]+)'
prose_and_code[::2] = [re.sub(relative, absolute, prose) for prose in prose_and_code[::2]]

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description='```'.join(prose_and_code),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    project_urls={'Documentation': docs, 'Source': git_url, 'Issues': f'{git_url}/issues',
                  'Changelog': f'{git_url}/blob/{cfg["branch"]}/CHANGELOG.md'},
    keywords=cfg['keywords'].split(),
    license_expression=cfg['license'],
    license_files=['LICENSE'],
    classifiers=[f'Development Status :: {statuses[cfg["status"]]}',
                 f'Intended Audience :: {cfg["audience"]}',
                 f'Natural Language :: {cfg["language"]}',
                 *(f'Programming Language :: Python :: 3.{i}' for i in range(py_minor, 14)),
                 *cfg['classifiers'].splitlines()],
    packages=[cfg['lib_name'], cfg['lib_name'] + '.data'],
    package_data={cfg['lib_name']: ['py.typed'], cfg['lib_name'] + '.data': ['*']},
    python_requires=f'>={cfg["min_python"]}',
    install_requires=cfg['requirements'].split(),
    extras_require={extra: cfg[f'{extra}_requirements'].split()
                    for extra in ('dev', 'jupyter', 'kaminpar', 'tensorboard')},
    entry_points={'console_scripts': cfg['console_scripts'].split(),
                  # where nbdev's links between pages look names up
                  'nbdev': [f'{cfg["lib_path"]}={cfg["lib_path"]}._modidx:d']},
    zip_safe=False,
)
