import { z } from 'zod';
import { noParamsSchema } from './common.ts';

export const RPC_METHODS = {
  'rpc.discover': {
    summary: 'Describes every method.',
    description: 'As an OpenRPC document.',
    params: noParamsSchema,
    result: z.record(z.string(), z.unknown()).describe('OpenRPC document.'),
    example: { params: {}, result: { openrpc: '1.3.2', info: { title: 'Fogproof', version: '0.1.0' }, methods: [] } },
  },
  'rpc.unsubscribe': {
    summary: 'Ends a subscription of this connection.',
    description: 'No event of it follows the answer. `isEnded` is false if there was none of that name.',
    params: z.strictObject({ subscription: z.string().max(64) }),
    result: z.strictObject({ isEnded: z.boolean() }),
    example: { params: { subscription: 'c1.1' }, result: { isEnded: true } },
  },
} as const;
