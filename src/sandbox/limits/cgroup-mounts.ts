import { readFileSync } from 'node:fs';

export interface Mount {
  readonly type: string;
  readonly folder: string;
  readonly options: readonly string[];
}

/** Empty where there is none. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function readMounts(): Mount[] {
  return readText('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([, folder, type, options]) =>
      folder !== undefined && type !== undefined && options !== undefined
        ? [{ type, folder, options: options.split(',') }]
        : [],
    );
}

/** Our own path in a hierarchy: of a v1 controller, or of v2 with an empty name. */
export function ownPath(controller: string): string {
  const lines = readText('/proc/self/cgroup').split('\n');
  for (const line of lines) {
    const [, controllers = '', path = '/'] = line.split(':');
    if (controllers.split(',').includes(controller)) return path;
  }
  return '/';
}
