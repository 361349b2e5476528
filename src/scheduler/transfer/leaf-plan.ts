/** Which leaves of a blob are still wanted and who is asked for which. Pure: no clock, no network. */

const DONE = 255;
/** Requests that a leaf may be in. */
const MAX_ASKED = 254;

/** Leaves that one request was made for, in order. `next` is the first that has not come. */
export interface LeafClaim<Owner> {
  readonly owner: Owner;
  readonly end: number;
  next: number;
}

export interface ClaimRequest<Owner> {
  readonly owner: Owner;
  readonly maxLeaves: number;
  /** Whether the owner has the leaf. */
  readonly has: (leaf: number) => boolean;
}

export interface ShareRequest<Owner> extends ClaimRequest<Owner> {
  /** Whether another has given nothing for so long that asking it counts as not asking. */
  readonly isLate: (owner: Owner) => boolean;
}

export class LeafPlan<Owner> {
  /** For each leaf how many requests it is in; DONE once it is here. */
  readonly #states: Uint8Array;
  readonly #claims = new Set<LeafClaim<Owner>>();
  #doneLeaves = 0;
  /** No leaf before it is open. */
  #cursor = 0;
  #claimedLeaves = 0;

  constructor(leafCount: number, isHere: (leaf: number) => boolean) {
    this.#states = new Uint8Array(leafCount);
    for (let leaf = 0; leaf < leafCount; leaf++) {
      if (!isHere(leaf)) continue;
      this.#states[leaf] = DONE;
      this.#doneLeaves += 1;
    }
  }

  get isDone(): boolean {
    return this.#doneLeaves === this.#states.length;
  }

  get doneLeaves(): number {
    return this.#doneLeaves;
  }

  /** Leaves that nobody is asked for. */
  get openLeaves(): number {
    return this.#states.length - this.#doneLeaves - this.#claimedLeaves;
  }

  /** Whether anybody is asked for anything. */
  get hasClaims(): boolean {
    return this.#claims.size > 0;
  }

  get claims(): Iterable<LeafClaim<Owner>> {
    return this.#claims;
  }

  isHere(leaf: number): boolean {
    return this.#states[leaf] === DONE;
  }

  /** The first open leaves in a row that the owner has; undefined if there are none. */
  claim({ owner, maxLeaves, has }: ClaimRequest<Owner>): LeafClaim<Owner> | undefined {
    const states = this.#states;
    while (this.#cursor < states.length && states[this.#cursor] !== 0) this.#cursor += 1;
    let first = this.#cursor;
    while (first < states.length && (states[first] !== 0 || !has(first))) first += 1;
    if (first === states.length) return undefined;
    let end = first + 1;
    while (end < states.length && end - first < maxLeaves && states[end] === 0 && has(end)) end += 1;
    return this.#add(owner, first, end);
  }

  /** The last leaves of another's claim that only it and late ones are asked for, and that the owner has too: at most half. */
  share(victim: LeafClaim<Owner>, request: ShareRequest<Owner>): LeafClaim<Owner> | undefined {
    const { owner, maxLeaves, has } = request;
    const isFree = (leaf: number): boolean => has(leaf) && this.#isShareable(leaf, victim, request);
    let end = victim.end;
    while (end > victim.next && !isFree(end - 1)) end -= 1;
    const limit = Math.min(maxLeaves, Math.ceil((end - victim.next) / 2));
    let first = end;
    while (first > victim.next && end - first < limit && isFree(first - 1)) first -= 1;
    return first === end ? undefined : this.#add(owner, first, end);
  }

  /** The leaf that the claim waits for came and is right. False if it was here already. */
  finish(claim: LeafClaim<Owner>): boolean {
    const leaf = claim.next;
    claim.next += 1;
    if (claim.next >= claim.end) this.#claims.delete(claim);
    if (this.#states[leaf] === DONE) return false;
    this.#states[leaf] = DONE;
    this.#doneLeaves += 1;
    this.#claimedLeaves -= 1;
    return true;
  }

  /** True if nothing that the claim still waits for is wanted. */
  isUseless(claim: LeafClaim<Owner>): boolean {
    for (let leaf = claim.next; leaf < claim.end; leaf++) if (this.#states[leaf] !== DONE) return false;
    return true;
  }

  /** What did not come is open again, unless another is asked for it too. */
  release(claim: LeafClaim<Owner>): void {
    if (!this.#claims.delete(claim)) return;
    for (let leaf = claim.next; leaf < claim.end; leaf++) {
      const state = this.#states[leaf] as number;
      if (state === DONE) continue;
      this.#states[leaf] = state - 1;
      if (state > 1) continue;
      this.#claimedLeaves -= 1;
      this.#cursor = Math.min(this.#cursor, leaf);
    }
    claim.next = claim.end;
  }

  #isShareable(leaf: number, victim: LeafClaim<Owner>, { owner, isLate }: ShareRequest<Owner>): boolean {
    const state = this.#states[leaf] as number;
    if (state <= 1 || state >= MAX_ASKED) return state === 1;
    for (const claim of this.#claims) {
      if (claim === victim || leaf < claim.next || leaf >= claim.end) continue;
      if (claim.owner === owner || !isLate(claim.owner)) return false;
    }
    return true;
  }

  #add(owner: Owner, first: number, end: number): LeafClaim<Owner> {
    for (let leaf = first; leaf < end; leaf++) {
      const state = this.#states[leaf] as number;
      this.#states[leaf] = state + 1;
      if (state === 0) this.#claimedLeaves += 1;
    }
    const claim = { owner, next: first, end };
    this.#claims.add(claim);
    return claim;
  }
}
