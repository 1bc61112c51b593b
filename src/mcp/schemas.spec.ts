import { fromJsonSchema } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compileSchema, headerArguments, type ObjectSchema } from './schemas.js';

describe('compileSchema', () => {
  it('makes the JSON Schema once, keeping the keywords of JSON Schema as they are', () => {
    const schema = { type: 'object' as const, $defs: { a: { $anchor: 'x' } }, allOf: [{ required: ['a'] }] };
    expect(compileSchema(fromJsonSchema(schema), 'input').json).toMatchObject(schema);
  });

  it('parses, and says in one line what is wrong', async () => {
    const compiled = compileSchema(z.object({ a: z.object({ b: z.number() }) }), 'input');
    expect(await compiled.parse({ a: { b: 1 } })).toEqual({ value: { a: { b: 1 } } });
    expect(await compiled.parse({ a: { b: 'x' } })).toEqual({ fault: expect.stringMatching(/^a\.b: /) as string });
  });

  it('HT-28: without a schema takes no arguments', async () => {
    const compiled = compileSchema(undefined, 'input');
    expect(compiled.json).toEqual({ type: 'object', properties: {}, additionalProperties: false });
    expect(await compiled.parse(undefined)).toEqual({ value: {} });
  });

  it.each([z.string(), z.array(z.string()), z.union([z.object({}), z.string()])])(
    'refuses what is no object',
    (schema) => {
      expect(() => compileSchema(schema, 'input')).toThrow('must be of type object');
    },
  );

  it('HT-27: refuses a reference into the network, takes one inside', () => {
    const withReference = (ref: string): (() => unknown) => {
      const schema = z.object({ a: z.string().meta({ $ref: ref }) });
      return () => compileSchema(schema, 'input');
    };
    expect(withReference('#/$defs/a')).not.toThrow();
    expect(withReference('https://schemas.example/a.json')).toThrow('schemas from the network are never fetched');
  });
});

describe('headerArguments', () => {
  const schema = (properties: Record<string, Record<string, unknown>>): ObjectSchema => ({
    type: 'object',
    properties,
  });

  it('HT-9: finds them through properties', () => {
    const nested = { type: 'object', properties: { b: { type: 'integer', 'x-mcp-header': 'Count' } } };
    expect(headerArguments(schema({ a: { type: 'string', 'x-mcp-header': 'Region' }, nested }))).toEqual([
      { header: 'Region', path: ['a'] },
      { header: 'Count', path: ['nested', 'b'] },
    ]);
  });

  it.each([
    ['a name that is no token', { a: { type: 'string', 'x-mcp-header': 'no blanks' } }, 'must be a header name'],
    ['a number', { a: { type: 'number', 'x-mcp-header': 'N' } }, 'wants a string, an integer or a boolean'],
    [
      'the same name twice',
      { a: { type: 'string', 'x-mcp-header': 'R' }, b: { type: 'string', 'x-mcp-header': 'r' } },
      'two arguments',
    ],
    [
      'one inside a list',
      { a: { type: 'array', items: { type: 'string', 'x-mcp-header': 'R' } } },
      'reached through properties alone',
    ],
  ])('HT-9: refuses %s', (_, properties, words) => {
    expect(() => headerArguments(schema(properties))).toThrow(words);
  });
});
