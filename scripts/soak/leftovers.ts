import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Mesh } from '../../test/support/mesh.ts';
import type { HistoryReport } from '../check-histories/interface.ts';

/** Processes, and files that are only there while something is written, once all daemons have stopped. */
export async function findLeftovers(
  mesh: Mesh,
  nodes: Iterable<{ readonly name: string; readonly home: string }>,
): Promise<readonly string[]> {
  const found = mesh.stage.findLeftovers().map((pid) => `process ${pid} is left`);
  for (const { name, home } of nodes) {
    const incoming = await readdir(join(home, 'blobs', 'incoming')).catch(() => []);
    const temporary = (await readdir(home, { recursive: true })).filter((path) => path.endsWith('.tmp'));
    for (const path of [...incoming, ...temporary]) found.push(`${name} left the file ${path}`);
  }
  return found;
}

export function listViolations({ invariants }: HistoryReport): readonly string[] {
  return invariants.flatMap(({ id, violations }) =>
    violations.map(({ node, key, problem }) => `${id}: ${node} ${key}: ${problem}`),
  );
}
