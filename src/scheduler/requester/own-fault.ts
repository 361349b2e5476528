/** Carries a fault of ours out of a loop whose other errors are the peer's. */
export class OwnFault extends Error {
  constructor(cause: unknown) {
    super('a fault of our own', { cause });
  }
}
