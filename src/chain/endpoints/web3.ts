export type Web3 = typeof import('@solana/web3.js');

/** The Solana client takes 0.2 s and 20 MB to load: a daemon without a chain never does. */
export function loadWeb3(): Promise<Web3> {
  return import('@solana/web3.js');
}
