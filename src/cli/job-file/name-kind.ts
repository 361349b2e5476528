/** A kind of evidence as a person has to see it: what shows nothing of any hardware stands out. */
export function nameKind(kind: string): string {
  return kind === 'simulated' ? 'SIMULATED' : kind;
}
