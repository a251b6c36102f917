#!/usr/bin/env python3
"""Time training steps of this package, of PyTorch Geometric and of DGL: same graph, partition and network, in turns.

    python nbs/benchmarks/side_by_side.py --size medium --memory

The page against_pyg.ipynb explains what is measured and shows results.
"""
import argparse, copy, json, os, statistics, subprocess, time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
import numpy as np
import torch
import torch.nn.functional as F
import torch_geometric.loader
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv
from cluster_gcn_nb.apart import call_apart
from cluster_gcn_nb.batching import ClusterData
from cluster_gcn_nb.loader import ClusterLoader
from cluster_gcn_nb.core import new_array, temporary_folder
from cluster_gcn_nb.datasets import planted_partition
from cluster_gcn_nb.memory import OwnMemory, most_memory
from cluster_gcn_nb.model import GCN
from cluster_gcn_nb.partition import Partition, partition_graph
from cluster_gcn_nb.step import train_step


# ---- graphs

@dataclass
class Workload:
    "A graph, its clusters, and a network to train on it."
    num_nodes:int          # of the graph
    avg_degree:float       # directed edges per node
    p_within:float         # share of the edges inside a community
    num_parts:int          # clusters, and communities
    batch_size:int         # clusters in a batch
    widths:tuple           # features, hidden widths, classes
    dropout:float          # after hidden layers
    density:float=1.       # share of the features that are not zero
    method:str='metis'     # partitioner

    def write(self, folder):
        "Make the graph and its partition, and write them as `.npy` files."
        folder, rng = Path(folder), np.random.default_rng(0)
        shape = dict(num_communities=self.num_parts, num_features=1, p_within=self.p_within)
        graph = planted_partition(self.num_nodes, self.avg_degree, **shape)
        method = self.method
        if method == 'kaminpar' and not find_spec('kaminpar'): method = 'metis'          # it is an extra
        partition = partition_graph(graph, self.num_parts, method=method)
        np.save(folder/'edges.npy', graph.edge_index.int().numpy())
        np.save(folder/'parts.npy', partition.assignment.int().numpy())
        np.save(folder/'cut.npy', partition.edge_cut)
        x = new_array(folder/'x.npy', np.float32, (self.num_nodes, self.widths[0]))
        for start in range(0, len(x), 2**16):
            rows = x[start:start + 2**16]
            rows[:] = rng.standard_normal(rows.shape, np.float32)
            if self.density < 1: rows *= rng.random(rows.shape, np.float32) < self.density
        np.save(folder/'y.npy', rng.integers(self.widths[-1], size=self.num_nodes))

    def read(self, folder, narrow=False):
        "The graph, mapped into memory, and the partition; `narrow` leaves node numbers in the file's 32 bits."
        def mapped(name): return torch.from_numpy(np.load(Path(folder)/f'{name}.npy', mmap_mode='c'))
        edges, y = mapped('edges'), mapped('y')
        mask = torch.rand(len(y), generator=torch.Generator().manual_seed(0)) < .66
        data = Data(x=mapped('x'), edge_index=edges if narrow else edges.long(), y=y, train_mask=mask)
        return data, Partition(mapped('parts').long(), self.num_parts, float(np.load(Path(folder)/'cut.npy')))


WORKLOADS = dict(
    small=Workload(19_717, 4.5, .7, 128, 32, (500, 16, 3), .5, density=.1),
    medium=Workload(200_000, 20, .6, 400, 10, (128, 256, 256, 40), .5),
    large=Workload(2_449_029, 50, .4, 15_000, 10, (100, 400, 400, 47), .2, method='kaminpar'))


# ---- sides

class PyGData(torch_geometric.loader.ClusterData):
    "PyG's `ClusterData`, with a given partition."
    def __init__(self, data, partition):
        self.given = partition.assignment
        super().__init__(data, partition.num_parts, log=False)

    def _metis(self, edge_index, num_nodes): return self.given


class PyGNet(nn.Module):
    "Layers of `GCNConv`."
    def __init__(self, widths, dropout):
        super().__init__()
        self.convs = nn.ModuleList(GCNConv(a, b) for a, b in zip(widths, widths[1:]))
        self.dropout = dropout

    def forward(self, x, edge_index):
        for conv in self.convs[:-1]: x = F.dropout(conv(x, edge_index).relu(), self.dropout, self.training)
        return self.convs[-1](x, edge_index)


def pyg_step(net, batch, optimizer):
    "One training step as in PyG's examples."
    optimizer.zero_grad()
    loss = F.cross_entropy(net(batch.x, batch.edge_index)[batch.train_mask], batch.y[batch.train_mask])
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def our_net(workload):
    "The same network, with our layers."
    widths = workload.widths
    return GCN(widths[0], widths[1], widths[-1], len(widths) - 1, workload.dropout)


class Side:
    "A loader, a network and a step: PyG's if `name` is `'pyg'`, else ours."
    def __init__(self, name, workload, data, partition):
        pyg, began = name == 'pyg', time.perf_counter()
        clusters = PyGData(data, partition) if pyg else ClusterData(data, partition=partition)
        self.seconds_to_build = time.perf_counter() - began
        loader = torch_geometric.loader.ClusterLoader if pyg else ClusterLoader
        self.loader = loader(clusters, batch_size=workload.batch_size, shuffle=True)
        self.net = PyGNet(workload.widths, workload.dropout) if pyg else our_net(workload)
        self.net.train()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=.01, fused=not pyg)
        self.one_step = pyg_step if pyg else train_step

    def step(self, batch): return self.one_step(self.net, batch, self.optimizer)

    def run(self, steps, kind='steps'):
        "Milliseconds per step, loading included, or per batch that is loaded, or whose fields are read."
        step = dict(steps=self.step, loads=lambda batch: None, reads=lambda batch: (batch.x, batch.edge_index))[kind]
        loader = self.loader
        if isinstance(loader, ClusterLoader) and kind != 'reads': loader = loader.for_model(self.net)
        left, began = steps, time.perf_counter()
        while left:
            for batch in loader:
                step(batch)
                del batch                # free its memory before the next one is made, on either side
                left -= 1
                if not left: break
        return (time.perf_counter() - began) / steps * 1000


class DGLSide:
    "DGL's side, in a process of `python`, where DGL is installed: see dgl_side.py."
    def __init__(self, python, workload, folder):
        names = 'num_parts', 'batch_size', 'widths', 'dropout'
        given = {name: getattr(workload, name) for name in names}
        given |= dict(folder=str(folder), threads=torch.get_num_threads())
        command = [python, '-W', 'ignore', Path(__file__).with_name('dgl_side.py'), json.dumps(given)]
        environment = os.environ | dict(DGLBACKEND='pytorch')                  # or it prints which one it takes
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process = subprocess.Popen(command, text=True, env=environment, **pipes)
        self.seconds_to_build = self.answer()

    def answer(self):
        "The next number that the process prints."
        line = self.process.stdout.readline()
        if not line: raise RuntimeError(f'DGL ended with status {self.process.wait()}')
        return float(line)

    def run(self, steps, kind='steps'):
        "Milliseconds per step or load, as of the other sides."
        self.process.stdin.write(f'{kind} {steps}\n')
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        "End the process."
        self.process.stdin.close()
        self.process.wait()


def dense_products(widths, num_nodes):
    "A function that computes a step's dense products: `X W`, backward `Xᵀ G` and, but for the first layer, `G Wᵀ`."
    xs = [torch.randn(num_nodes, width) for width in widths]
    weights = [torch.randn(a, b) for a, b in zip(widths, widths[1:])]

    def products():
        for i, w in enumerate(weights):
            xs[i] @ w
            xs[i].T @ xs[i + 1]
            if i: xs[i + 1] @ w.T
    return products


# ---- comparison

NAMES = dict(pyg='PyTorch Geometric', dgl='DGL', ours='cluster_gcn_nb', full='... features without zeros')
KINDS = dict(steps='step', loads='loading', reads='... x and edge_index read')


@dataclass
class Result:
    "Times of one workload: lists of milliseconds, one number per round."
    batch:str                 # nodes and edges of a batch
    steps:dict                # milliseconds per step by side, and `'dense'`
    loads:dict                # milliseconds to load a batch, by side
    reads:dict                # milliseconds to load a batch and read `x` and `edge_index`, by side
    builds:dict               # seconds to build `ClusterData`, by side

    def ratio(self, what, side, base='pyg'):
        "How many times as long `base` takes as `side`, round by round: median, lowest, highest."
        found = getattr(self, what)
        ratios = [theirs / ours for theirs, ours in zip(found[base], found[side])]
        return statistics.median(ratios), min(ratios), max(ratios)

    def line(self, kind, side):
        "One line of the report."
        found = getattr(self, kind)
        median = statistics.median(found[side])
        text = f'  {KINDS[kind]:26}{median:8.2f} ms'
        if kind == 'steps': text += f" ({median / statistics.median(found['dense']):.1f} x dense)"
        for base, words in (('pyg', 'times as fast as PyG'), ('dgl', 'as DGL')):
            if base not in found or side in ('pyg', base): continue
            median, lowest, highest = self.ratio(kind, side, base)
            text += f', {median:.1f} {words} ({lowest:.1f} to {highest:.1f})'
        return text

    def __repr__(self):
        lines = [f'batches of {self.batch}', f"dense products alone {statistics.median(self.steps['dense']):8.2f} ms"]
        for side, label in NAMES.items():
            if side not in self.builds: continue
            lines += [label, *(self.line(kind, side) for kind in KINDS if side in getattr(self, kind))]
            lines.append(f"  {'ClusterData':26}{self.builds[side]:8.2f} s")
        return '\n'.join(lines)


def milliseconds(function, times=3):
    "Of one call, averaged."
    began = time.perf_counter()
    for _ in range(times): function()
    return (time.perf_counter() - began) / times * 1000


def compare(workload, folder, rounds=7, steps=8, dgl=None):
    """Time the sides in turns: `steps` of each in a round. `folder` holds the workload's files; `dgl`: the Python of
    an environment with DGL (None: without)."""
    data, partition = workload.read(folder)
    sides = {name: Side(name, workload, data, partition) for name in ('pyg', 'ours')}
    if workload.density < 1:
        full = copy.copy(data)
        full.x = torch.randn_like(data.x)
        sides['full'] = Side('full', workload, full, partition)
    if dgl: sides['dgl'] = DGLSide(dgl, workload, folder)
    batch = next(iter(sides['ours'].loader))
    products = dense_products(workload.widths, batch.num_nodes)
    times = {kind: {name: [] for name in sides if kind != 'reads' or name != 'dgl'} for kind in KINDS}
    dense = []
    for round in range(rounds + 1):
        found = milliseconds(products)
        if round: dense.append(found)                    # the first round is for warming up
        for kind, by_side in times.items():
            for name, measured in by_side.items():
                found = sides[name].run(steps, kind)
                if round: measured.append(found)
    times['steps']['dense'] = dense
    if dgl: sides['dgl'].close()
    builds = {name: side.seconds_to_build for name, side in sides.items()}
    return Result(f'{batch.num_nodes:,} nodes and {batch.num_edges:,} edges', builds=builds, **times)


# ---- memory

def peak_here(side, workload, files, narrow):
    "In a child process: build, train three steps. Seconds to build; peak bytes of the process and of its own memory."
    workload = Workload(**workload)
    with OwnMemory() as own:
        side = Side(side, workload, *workload.read(files, narrow))
        side.run(3)
    return np.array([side.seconds_to_build, most_memory(), own.peak])


def peak_memory(side, workload, folder, narrow=False):
    "The same, in a child process; `narrow`: node numbers of 32 bits."
    given = dict(side=side, workload=asdict(workload), files=str(folder), narrow=narrow)
    with temporary_folder() as scratch: return call_apart('side_by_side:peak_here', {}, scratch, **given)


def memory_report(workload, folder):
    "Peaks and build times of both sides, each in a process of its own, as text."
    cases = {'PyTorch Geometric': ('pyg', False), 'cluster_gcn_nb': ('ours', True),
             '... 64-bit numbers': ('ours', False)}
    found = {name: peak_memory(side, workload, folder, narrow) for name, (side, narrow) in cases.items()}
    slowest, most, most_own = found['PyTorch Geometric']
    lines = []
    for name, (seconds, peak, own) in found.items():
        lines.append(f'{name:20} built in {seconds:6.2f} s ({slowest / seconds:4.1f} times as fast), '
                     f'peak {peak / 1e9:6.2f} GB ({peak / most:.0%}), '
                     f'of its own {own / 1e9:6.2f} GB ({own / most_own:.0%})')
    return '\n'.join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', choices=WORKLOADS, default='small',
                        help="PubMed's shape, 4 million edges, or Amazon2M's shape (16 GB of memory, 15 minutes)")
    parser.add_argument('--rounds', type=int, default=5, help='in each, the sides take turns')
    parser.add_argument('--steps', type=int, default=8, help='of each side in a round')
    parser.add_argument('--threads', type=int, help="of torch (default: torch's choice)")
    parser.add_argument('--memory', action='store_true', help='measure peak memory as well, in child processes')
    parser.add_argument('--dgl', metavar='PYTHON', help='of an environment with DGL, to measure it too: dgl_side.py')
    given = parser.parse_args()
    if given.threads: torch.set_num_threads(given.threads)
    workload = WORKLOADS[given.size]
    with temporary_folder() as folder:
        workload.write(folder)
        print(compare(workload, folder, given.rounds, given.steps, given.dgl))
        if given.memory: print(memory_report(workload, folder))


if __name__ == '__main__': main()
