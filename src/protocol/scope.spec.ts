import { describe, expect, it } from 'vitest';
import { askedScopes, parseScope } from './scope.js';

const known = { names: ['mcp', 'repo:read'], defaults: ['mcp'] };

describe('asked scopes', () => {
  it.each([
    [undefined, ['mcp']],
    ['', ['mcp']],
    ['repo:read', ['repo:read']],
    ['repo:read mcp', ['repo:read', 'mcp']],
    ['mcp mcp', ['mcp']],
    ['unknown', ['mcp']],
    ['unknown repo:read', ['repo:read']],
    ['offline_access', ['mcp']],
    ['mcp offline_access', ['mcp']],
    ['openid', ['openid', 'mcp']],
    ['openid repo:read profile', ['openid', 'repo:read']],
  ])('S1, T3: %s → %s', (scope, expected) => {
    expect(askedScopes(scope, known)).toEqual(expected);
  });

  it('reads scope parameters', () => {
    expect(parseScope(' a  b a ')).toEqual(['a', 'b']);
  });
});
