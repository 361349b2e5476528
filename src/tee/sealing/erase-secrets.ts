import type { JobSecrets } from '../interface.ts';

export function eraseSecrets({ contentKey, salts }: JobSecrets): void {
  contentKey.fill(0);
  for (const salt of salts) salt.fill(0);
}
