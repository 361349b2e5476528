import * as openRpcMeta from '@open-rpc/meta-schema';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import { createOpenRpcDocument } from '../../../src/rpc/open-rpc.ts';
import { METHOD_SCHEMAS, SUBSCRIPTION_SCHEMAS } from '../../../src/rpc/schema/table.ts';
import { createFakeModules } from '../../support/fake-rpc-modules.ts';

// The package declares the types of documents, and not the schema that it exports.
const { openrpcDocument: metaSchema } = openRpcMeta as unknown as { readonly openrpcDocument: object };
const document = createOpenRpcDocument('0.1.0');
const schemas = new Ajv({ strict: false, validateFormats: false });

/** The meta schema points at JSON Schema's own under an address of its publisher; ajv holds draft 7 under its usual one. */
function createDocumentValidator() {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const text = JSON.stringify(metaSchema)
    .replaceAll(
      'https://meta.json-schema.tools/#/definitions/JSONSchemaObject/properties/$ref',
      'http://json-schema.org/draft-07/schema#/properties/$ref',
    )
    .replaceAll('"$ref":"https://meta.json-schema.tools"', '"$ref":"http://json-schema.org/draft-07/schema#"')
    .replaceAll('"$schema":"https://meta.json-schema.tools/"', '"$schema":"http://json-schema.org/draft-07/schema#"');
  return ajv.compile(JSON.parse(text) as object);
}

describe('rpc.discover', () => {
  it('is a valid OpenRPC document', () => {
    const validate = createDocumentValidator();
    validate(document);
    expect(validate.errors).toBeNull();
  });

  it('is refused by the same check when a method lacks its params', () => {
    const [first, ...rest] = document.methods;
    const { params: _, ...broken } = first ?? { params: [] };
    expect(createDocumentValidator()({ ...document, methods: [broken, ...rest] })).toBe(false);
  });

  it('describes the methods that can be called, all of them and no other', () => {
    const callable = [...createMethodTable(createFakeModules(), { version: '0' }).keys()];
    expect(document.methods.map(({ name }) => name)).toEqual(callable.toSorted((a, b) => a.localeCompare(b)));
  });

  it.each(document.methods)('says enough of $name', ({ name, summary, description, params, result }) => {
    expect(name).toMatch(/^[a-z]+\.[a-z][A-Za-z]+$/);
    expect(summary).toMatch(/\.$/);
    expect(description).toMatch(/\.$/);
    for (const { schema } of [...params, result]) expect(schemas.validateSchema(schema)).toBe(true);
  });

  it.each(Object.entries(METHOD_SCHEMAS))('has an example of %s that its schemas accept', (name, schema) => {
    const { params, result } = schema.example;
    expect(schema.params.safeParse(params).error).toBeUndefined();
    expect(schema.result.safeParse(result).error).toBeUndefined();
    const described = document.methods.find((method) => method.name === name);
    expect(schemas.validate(described?.result.schema ?? false, result)).toBe(true);
    for (const { name: param, schema: paramSchema, required } of described?.params ?? []) {
      if (required || param in params) expect(schemas.validate(paramSchema, params[param])).toBe(true);
    }
  });

  it.each(Object.entries(SUBSCRIPTION_SCHEMAS))('has an example of %s that its schemas accept', (_, schema) => {
    expect(schema.params.safeParse(schema.example.params).error).toBeUndefined();
    expect(schema.event.safeParse(schema.example.event).error).toBeUndefined();
  });

  it('refuses unknown params everywhere', () => {
    for (const { params } of [...Object.values(METHOD_SCHEMAS), ...Object.values(SUBSCRIPTION_SCHEMAS)]) {
      expect(params.safeParse({ unknown: 1 }).success).toBe(false);
    }
  });
});
