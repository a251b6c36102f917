"""From tables to predictions on graphs of 10 million to a billion edges, each stage in a process of its own.

    python nbs/benchmarks/billion.py /large/disk hundredth middle billion

For each stage: its time, own memory, bytes read and written, and disk at the peak, the tables among it. What is
measured is kept beside the graph, in `measured.json`; a stage that has ended is not run again. The largest takes hours.
"""
import json, os, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
import duckdb
import numpy as np
from cluster_gcn_nb.forecast import show_time
from cluster_gcn_nb.memory import show_memory, tree_memory

# A planted partition: communities of 1,000 nodes with one of 172 classes each; three of five edges stay in their
# community. Features are those of the class and noise; 2 % of the nodes have a label. All that is drawn is a hash of
# its number: the files are the same on any machine.

COMMUNITY, CLASSES, WIDTH, INSIDE, SIGNAL = 1000, 172, 128, .6, .3
STRIDE, SHIFT = 2_654_435_761, 12345                # rows of the table -> places in communities, one to one


def num_nodes(links): return links * 10 // 103 // COMMUNITY * COMMUNITY


def drawn(number, salt): # in SQL
    return f'(hash({number} * 8 + {salt}) // 2)::BIGINT'


def write_tables(folder, links):
    "The tables of edges and nodes, by DuckDB."
    n = num_nodes(links)
    back = pow(STRIDE, -1, n)
    def id(place): return f'({place} + {n - SHIFT % n}) % {n} * {back} % {n} * 7 + 1000'
    near = f"a // {COMMUNITY} * {COMMUNITY} + {drawn('i', 1)} % {COMMUNITY}"
    far = f"{drawn('i', 2)} % {n}"
    ends = f"""SELECT a, CASE WHEN {drawn('i', 3)} % 1000 < {int(INSIDE * 1000)} THEN {near} ELSE {far} END AS b
               FROM (SELECT i, {drawn('i', 0)} % {n} AS a FROM range({links}) AS r(i))"""
    label = drawn(f'((j * {STRIDE} + {SHIFT}) % {n} // {COMMUNITY})', 4) + f' % {CLASSES}'
    nodes = f"""SELECT j * 7 + 1000 AS id, CASE WHEN {drawn('j', 5)} % 50 = 0 THEN ({label})::SMALLINT END AS label
                FROM range({n}) AS r(j)"""
    with duckdb.connect(config=dict(memory_limit='4GB', temp_directory=str(folder/'spilled'))) as db:
        db.execute(f"COPY (SELECT {id('a')} AS src, {id('b')} AS dst FROM ({ends})) TO '{folder}/edges.parquet'")
        db.execute(f"COPY ({nodes}) TO '{folder}/nodes.parquet'")
        of_communities = f"SELECT {drawn('c', 4)} % {CLASSES} AS k FROM range({n // COMMUNITY}) AS r(c) ORDER BY c"
        return db.execute(of_communities).fetchnumpy()['k'].astype(np.int32)


def write_features(folder, links, class_of):
    "The features, in 16 bits; `class_of` communities."
    n = num_nodes(links)
    centres = np.random.default_rng(0).standard_normal((CLASSES, WIDTH), np.float32) * np.float32(SIGNAL)
    x = np.lib.format.open_memmap(folder/'x.npy', 'w+', np.float16, (n, WIDTH))
    def piece(start):
        rows = np.arange(start, min(start + 2**16, n), dtype=np.int64)
        own = centres[class_of[(rows * STRIDE + SHIFT) % n // COMMUNITY]]
        x[rows[0]:rows[-1] + 1] = own + np.random.default_rng([1, start]).standard_normal(own.shape, np.float32)
    with ThreadPoolExecutor() as pool: list(pool.map(piece, range(0, n, 2**16)))
    x.flush()
    return centres


def size_on_disk(folder):
    "Bytes that the files in a folder take."
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += os.stat(os.path.join(place, name), follow_symlinks=False).st_blocks * 512
    return found


def counters(pid):
    "Bytes that a process has read from the disk and written to it; those before, if it has ended."
    try: lines = dict(line.split(': ') for line in Path(f'/proc/{pid}/io').read_text().splitlines())
    except (OSError, ValueError): return None
    return int(lines['read_bytes']), int(lines['write_bytes'])


def watch(command, folder, stage=None):
    """Run a command in a folder, and return the seconds that it takes, its own memory at the peak, bytes read and
    written, and disk at the peak. With `stage`, a function: until that stage of the command is complete; then it is
    killed."""
    found, first = dict(seconds=0., memory=0, read=0, written=0, disk=0), stage and stage()
    environment = os.environ | dict(TMPDIR=str(folder), CUDA_VISIBLE_DEVICES='')
    began, disk_at = time.perf_counter(), 0.
    with open(folder/'log', 'a') as log:
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        while child.poll() is None:
            time.sleep(.1)
            found['seconds'] = time.perf_counter() - began
            found['read'], found['written'] = counters(child.pid) or (found['read'], found['written'])
            found['memory'] = max(found['memory'], tree_memory(child.pid))
            if found['seconds'] - disk_at > 1:
                disk_at, found['disk'] = found['seconds'], max(found['disk'], size_on_disk(folder))
            if stage and stage() != first:
                os.kill(child.pid, signal.SIGKILL)
                break
    if child.wait() not in (0, -signal.SIGKILL): raise RuntimeError((folder/'log').read_text()[-2000:])
    return found


def kept(folder, key, job):
    "What a job gives, from the file `measured.json` of the folder if it has ended before."
    path = folder/'measured.json'
    known = json.loads(path.read_text()) if path.exists() else {}
    if key not in known:
        known[key] = job()
        path.write_text(json.dumps(known, indent=1))
    return known[key]


MAKES = dict(number='numbered', sort='rough', cut='partition.npz')       # what the stages leave
STAGES = *MAKES, 'write', 'list the clusters'


def making(folder):
    "The stage of cluster_gcn_partition that comes next."
    if (folder/'store').exists(): return 'list the clusters'
    left = [stage for stage, name in MAKES.items() if not (folder/'store.work'/name).exists()]
    return left[0] if left else 'write'


def partition(memory, tables='.'):
    return ['cluster_gcn_partition', f'{tables}/edges.parquet', *f'''--nodes {tables}/nodes.parquet --label label
        --features {tables}/x.npy --precision bfloat16 --memory {memory} --store store --out clusters'''.split()]


def train(epochs):
    options = '--batch_size 10 --hidden 128 --schedule linear --memory 8GB --out run --resume'
    return ['cluster_gcn_train', 'store', *options.split(), '--epochs', str(epochs)]

predict = 'cluster_gcn_predict run --memory 8GB --out predictions.parquet'.split()


def go(folder, links, epochs, memory):
    "Make the graph and run all jobs; what each takes."
    folder.mkdir(parents=True, exist_ok=True)
    def make():
        began = time.perf_counter()
        write_features(folder, links, write_tables(folder, links))
        return time.perf_counter() - began
    def once(stage, command, *more): return kept(folder, stage, lambda: watch(command, folder, *more))
    kept(folder, 'made in', make)
    found = {stage: once(stage, partition(memory), lambda: making(folder)) for stage in STAGES}
    return found | dict(train=once('train', train(epochs)), predict=once('predict', predict))


GRAPHS = dict(hundredth=(5_200_000, 20, '700MB'), middle=(59_700_000, 1, '8GB'), billion=(520_000_000, 1, '8GB'))


def main(place, *names):
    for name in names:
        found = go(Path(place)/name, *GRAPHS[name])
        entries = json.loads((Path(place)/name/'store/store.json').read_text())['store']['num_edges']
        print(f'{name}: {entries:,} entries')
        for stage, one in found.items():
            sizes = [f'{show_memory(one[key]):>10}' for key in ('memory', 'read', 'written', 'disk')]
            each = 1e9 * one['seconds'] / entries
            print(f"  {stage:18}{show_time(one['seconds']):>9}{''.join(sizes)}{each:8.0f} ns an entry", flush=True)


if __name__ == '__main__': main(*sys.argv[1:])
