/** An undirected simple graph, its adjacency in compressed rows. */
export interface Graph {
  readonly vertices: number;
  /** Where the row of each vertex begins in `targets`; one more entry than vertices. */
  readonly offsets: Uint32Array;
  readonly targets: Uint32Array;
}

/** Of pairs of vertices; loops and repetitions count once or not at all. */
export function createGraph(vertices: number, pairs: Iterable<readonly [number, number]>): Graph {
  const keys = new Set<number>();
  for (const [a, b] of pairs) if (a !== b) keys.add(Math.min(a, b) * vertices + Math.max(a, b));
  const offsets = new Uint32Array(vertices + 1);
  for (const key of keys) {
    for (const vertex of endsOf(key, vertices)) offsets[vertex + 1] = (offsets[vertex + 1] ?? 0) + 1;
  }
  for (let vertex = 0; vertex < vertices; vertex += 1) {
    offsets[vertex + 1] = (offsets[vertex + 1] ?? 0) + (offsets[vertex] ?? 0);
  }
  const targets = new Uint32Array(keys.size * 2);
  const next = offsets.slice();
  for (const key of keys) {
    const [a, b] = endsOf(key, vertices);
    for (const [from, to] of [[a, b] as const, [b, a] as const]) {
      const place = next[from] ?? 0;
      targets[place] = to;
      next[from] = place + 1;
    }
  }
  return { vertices, offsets, targets };
}

function endsOf(key: number, vertices: number): readonly [number, number] {
  return [Math.floor(key / vertices), key % vertices];
}

export function degreeOf(graph: Graph, vertex: number): number {
  return (graph.offsets[vertex + 1] ?? 0) - (graph.offsets[vertex] ?? 0);
}

export function neighboursOf(graph: Graph, vertex: number): Uint32Array {
  return graph.targets.subarray(graph.offsets[vertex], graph.offsets[vertex + 1]);
}

export function computeMeanDegree(graph: Graph): number {
  return graph.targets.length / graph.vertices;
}

/** The part of a graph that some vertices span, numbered anew in their order. */
export function restrictGraph(graph: Graph, kept: readonly number[]): Graph {
  const places = new Map(kept.map((vertex, place) => [vertex, place]));
  const pairs: [number, number][] = [];
  for (const [vertex, place] of places) {
    for (const target of neighboursOf(graph, vertex)) {
      const other = places.get(target);
      if (other !== undefined && other > place) pairs.push([place, other]);
    }
  }
  return createGraph(kept.length, pairs);
}

/** Sizes of the connected parts, largest first. */
export function listComponents(graph: Graph): readonly number[] {
  const seen = new Uint8Array(graph.vertices);
  const sizes: number[] = [];
  for (let start = 0; start < graph.vertices; start += 1) {
    if (seen[start] === 1) continue;
    const waiting = [start];
    seen[start] = 1;
    let size = 0;
    for (let vertex = waiting.pop(); vertex !== undefined; vertex = waiting.pop()) {
      size += 1;
      for (const target of neighboursOf(graph, vertex)) {
        if (seen[target] === 1) continue;
        seen[target] = 1;
        waiting.push(target);
      }
    }
    sizes.push(size);
  }
  return sizes.sort((a, b) => b - a);
}
