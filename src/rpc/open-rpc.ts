import { z } from 'zod';
import { ERROR_FAMILIES } from './error-codes.ts';
import type { MethodExample } from './schema/method-schema.ts';
import { METHOD_SCHEMAS, SUBSCRIPTION_SCHEMAS } from './schema/table.ts';

export interface OpenRpcDocument {
  readonly openrpc: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly methods: readonly OpenRpcMethod[];
  readonly components: Readonly<Record<string, unknown>>;
}

export interface OpenRpcMethod {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly paramStructure: 'by-name';
  readonly params: readonly OpenRpcDescriptor[];
  readonly result: OpenRpcDescriptor;
  readonly examples: readonly unknown[];
  /** Of subscriptions: the schema of `params.event` in the notifications that follow. */
  readonly 'x-event'?: JsonSchema;
}

interface OpenRpcDescriptor {
  readonly name: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

/** What z.toJSONSchema gives; OpenRPC 1.3 takes draft 7. */
type JsonSchema = Readonly<Record<string, unknown>>;

const SUBSCRIPTION_RESULT = z.strictObject({ subscription: z.string().describe('Name of the subscription.') });
const EXAMPLE_SUBSCRIPTION = { subscription: 'c1.1' };

/** The description of every method, generated from the schemas that the server checks with. */
export function createOpenRpcDocument(version: string): OpenRpcDocument {
  const methods = Object.entries(METHOD_SCHEMAS).map(([name, schema]) => describeMethod({ name, ...schema }));
  const subscriptions = Object.entries(SUBSCRIPTION_SCHEMAS).map(([name, schema]) => ({
    ...describeMethod({
      name,
      summary: schema.summary,
      description: `${schema.description} Events follow as notifications 'subscription' with { subscription, event }, then { subscription, end: true }, with an error if it failed. rpc.unsubscribe ends it.`,
      params: schema.params,
      result: SUBSCRIPTION_RESULT,
      example: { params: schema.example.params, result: EXAMPLE_SUBSCRIPTION },
    }),
    'x-event': toJsonSchema(schema.event),
  }));
  return {
    openrpc: '1.3.2',
    info: {
      title: 'Fogproof control socket',
      version,
      description: 'JSON-RPC 2.0 over a Unix domain socket, one JSON value a line. Bytes are base64; ids are strings.',
    },
    methods: [...methods, ...subscriptions].toSorted((a, b) => a.name.localeCompare(b.name)),
    components: { errors: Object.fromEntries(ERROR_FAMILIES.map(({ name, ...error }) => [name, error])) },
  };
}

interface DescribedMethod {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly params: z.ZodObject;
  readonly result: z.ZodType;
  readonly example: MethodExample;
}

function describeMethod(method: DescribedMethod): OpenRpcMethod {
  const { name, summary, description, params, result, example } = method;
  const schema = toJsonSchema(params) as { properties?: Record<string, JsonSchema>; required?: readonly string[] };
  const descriptors = Object.entries(schema.properties ?? {}).map(([param, paramSchema]) => ({
    name: param,
    schema: paramSchema,
    required: schema.required?.includes(param) ?? false,
  }));
  return {
    name,
    summary,
    description,
    paramStructure: 'by-name',
    params: descriptors,
    result: { name: 'result', schema: toJsonSchema(result), required: true },
    examples: [
      {
        name: 'example',
        params: Object.entries(example.params).map(([param, value]) => ({ name: param, value })),
        result: { name: 'result', value: example.result },
      },
    ],
  };
}

function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  return rest;
}
