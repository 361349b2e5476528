import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createWalletHandlers({ chain }: HandlerModules): MethodHandlers<'wallet.show' | 'wallet.airdrop'> {
  return {
    'wallet.show': () => chain.wallet(),
    'wallet.airdrop': ({ lamports }, { signal }) => chain.airdrop(lamports, { signal }),
  };
}
