import type { z } from 'zod';
import { RpcFault } from './faults.ts';
import type { ParamsSchema, RpcContext, RpcMethod } from './interface.ts';

export interface MethodDefinition<Schema extends ParamsSchema> {
  readonly name: string;
  readonly params: Schema;
  readonly run: (context: RpcContext, ...params: z.output<Schema>) => unknown;
}

export function defineMethod<Schema extends ParamsSchema>({ name, params, run }: MethodDefinition<Schema>): RpcMethod {
  return { name, call: async (raw, context) => await run(context, ...parseParams(params, raw)) };
}

/** @throws RpcFault */
export function parseParams<Schema extends ParamsSchema>(schema: Schema, raw: unknown): z.output<Schema> {
  const list = raw ?? [];
  if (!Array.isArray(list)) throw new RpcFault('invalidParams', 'Invalid params: expected a list of parameters');
  const parsed = schema.safeParse(trimNulls(list));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new RpcFault('invalidParams', `Invalid params${where}: ${issue?.message ?? 'not understood'}`);
}

/** Clients pass null for parameters that they leave out. */
function trimNulls(list: readonly unknown[]): unknown[] {
  const params = list.map((param: unknown) => param ?? undefined);
  while (params.length > 0 && params.at(-1) === undefined) params.pop();
  return params;
}
