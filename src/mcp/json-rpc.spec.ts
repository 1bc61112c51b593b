import { describe, expect, it } from 'vitest';
import { errorBody, isTooDeep, messagesOf } from './json-rpc.js';

const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));

describe('isTooDeep', () => {
  it.each([
    [nested(100), false],
    [nested(101), true],
    [nested(200_000), true],
    [Array.from({ length: 10_000 }, () => ({ a: [1] })), false],
    ['text', false],
    [null, false],
  ])('sec-37: %#', (value, deep) => {
    expect(isTooDeep(value)).toBe(deep);
  });
});

describe('messagesOf', () => {
  it('reads single messages and batches, and leaves out what is no message', () => {
    expect(messagesOf({ method: 'a', id: 1 })).toEqual([{ method: 'a', id: 1, params: {} }]);
    expect(messagesOf([{ method: 'a', params: { x: 1 } }, 7, null, { method: 7 }])).toEqual([
      { method: 'a', id: undefined, params: { x: 1 } },
    ]);
    expect(messagesOf('text')).toEqual([]);
  });
});

describe('errorBody', () => {
  it('echoes ids that are strings or numbers, and null otherwise', () => {
    expect(JSON.parse(errorBody(-1, 'x', 'a'))).toEqual({ jsonrpc: '2.0', id: 'a', error: { code: -1, message: 'x' } });
    expect((JSON.parse(errorBody(-1, 'x', { a: 1 })) as { id: unknown }).id).toBeNull();
  });
});
