#!/usr/bin/env python3
"""Steps of DGL 2.1, on the files that a workload of side_by_side.py has written. DGL's last release wants torch 2.2
and numpy 1, so it runs in an environment of its own, and side_by_side.py talks to it:

    python -m venv dgl && dgl/bin/pip install dgl==2.1.0 torch==2.2.1 torchdata==0.7.1 'numpy<2' 'pandas<2.3'
    python nbs/benchmarks/side_by_side.py --size medium --dgl dgl/bin/python
"""
import json, pickle, sys, time
from pathlib import Path
import dgl
import numpy as np
import torch
import torch.nn.functional as F
from dgl.dataloading import ClusterGCNSampler, DataLoader
from dgl.nn import GraphConv
from torch import nn


class DGLNet(nn.Module):
    "Layers of `GraphConv`."
    def __init__(self, widths, dropout):
        super().__init__()
        self.convs = nn.ModuleList(GraphConv(a, b) for a, b in zip(widths, widths[1:]))
        self.dropout = dropout

    def forward(self, graph, x):
        for conv in self.convs[:-1]: x = F.dropout(conv(graph, x).relu(), self.dropout, self.training)
        return self.convs[-1](graph, x)


def read_graph(folder):
    "The workload's graph, with self-loops, and the cluster of each node."
    def mapped(name): return torch.from_numpy(np.load(folder/f'{name}.npy', mmap_mode='c'))
    y = mapped('y')
    graph = dgl.graph(tuple(mapped('edges').long()), num_nodes=len(y))
    graph = dgl.add_self_loop(graph)
    mask = torch.rand(len(y), generator=torch.Generator().manual_seed(0)) < .66
    graph.ndata.update(x=mapped('x'), y=y, train_mask=mask)
    return graph, mapped('parts').long()


def cluster_loader(graph, parts, num_parts, batch_size, folder):
    "DGL's loader of clusters. It reads a given partition from its cache, the only way to give it one."
    ends = torch.bincount(parts, minlength=num_parts).cumsum(0)
    cache = folder/'cluster_gcn.pkl'
    with open(cache, 'wb') as file: pickle.dump((F.pad(ends, (1, 0)), parts.argsort(stable=True)), file)
    sampler = ClusterGCNSampler(graph, num_parts, str(cache), prefetch_ndata=['x', 'y', 'train_mask'])
    return DataLoader(graph, torch.arange(num_parts), sampler, batch_size=batch_size, shuffle=True)


def step(net, batch, optimizer):
    "One training step."
    optimizer.zero_grad()
    mask = batch.ndata['train_mask']
    loss = F.cross_entropy(net(batch, batch.ndata['x'])[mask], batch.ndata['y'][mask])
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def main(folder, num_parts, batch_size, widths, dropout, threads):
    "Answer each line of the input, a kind and a number of steps, with the milliseconds of one."
    torch.set_num_threads(threads)
    folder, began = Path(folder), time.perf_counter()
    graph, parts = read_graph(folder)
    graph.create_formats_()
    loader = cluster_loader(graph, parts, num_parts, batch_size, folder)
    print(time.perf_counter() - began, flush=True)
    net = DGLNet(widths, dropout)
    optimizer = torch.optim.Adam(net.parameters(), lr=.01)
    jobs = dict(steps=lambda batch: step(net, batch, optimizer), loads=lambda batch: batch.ndata['x'])
    for line in sys.stdin:
        kind, steps = line.split()
        left, began = int(steps), time.perf_counter()
        while left:
            for batch in loader:
                jobs[kind](batch)
                left -= 1
                if not left: break
        print((time.perf_counter() - began) / int(steps) * 1000, flush=True)


if __name__ == '__main__': main(**json.loads(sys.argv[1]))
