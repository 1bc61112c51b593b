import { expect, it } from 'vitest';
import { schemaWords } from './schema-words.js';

it.each([
  [{ type: 'integer', minimum: 1, maximum: 200, default: 50 }, 'integer, 1 to 200, default 50'],
  [{ type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 }, 'integer'],
  [{ type: 'string', enum: ['active', 'blocked'] }, 'active | blocked'],
  [{ type: 'string', minLength: 1, maxLength: 63 }, 'text, at most 63 characters'],
  [{ type: ['string', 'null'] }, 'text or null'],
  [{ anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }] }, 'time (RFC 3339) or null'],
  [{ type: 'array', items: { type: 'string' }, maxItems: 100 }, 'list of text, at most 100'],
  [{ $ref: '#/components/schemas/User' }, 'User'],
  [{ type: 'object', properties: { id: { type: 'string' }, n: {} }, required: ['id'] }, '{ id: text, n?: anything }'],
])('%j reads: %s', (schema, words) => {
  expect(schemaWords(schema)).toBe(words);
});
