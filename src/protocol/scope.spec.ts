import { describe, expect, it } from 'vitest';
import { askedScopes, parseScope, scopesOfToken } from './scope.js';

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
    expect(askedScopes(scope, known)).toEqual({ scopes: expected, withheld: [] });
  });

  it.each([
    ['repo:read', ['mcp'], [], ['repo:read']],
    ['repo:read mcp', ['mcp'], ['mcp'], []],
    ['repo:read unknown', ['mcp'], [], ['repo:read']],
    ['unknown', ['mcp'], ['mcp'], []],
    [undefined, ['repo:read'], [], ['mcp']],
    ['openid repo:read', ['mcp'], ['openid'], ['repo:read']],
    ['mcp', [], [], ['mcp']],
  ])('S4, sec-19: %s of a client that may have %j', (scope, limit, scopes, withheld) => {
    expect(askedScopes(scope, { ...known, limit })).toEqual({ scopes, withheld });
  });

  it('S4: a token carries what was added later, less what was left out, within what its client may have', () => {
    const token = { scope: 'openid mcp', widened: 'notes:read notes:write', leftOut: undefined, limit: null };
    expect(scopesOfToken(token)).toEqual(['openid', 'mcp', 'notes:read', 'notes:write']);
    expect(scopesOfToken({ ...token, leftOut: 'notes:write' })).toEqual(['openid', 'mcp', 'notes:read']);
    expect(scopesOfToken({ ...token, limit: ['notes:read'] })).toEqual(['openid', 'notes:read']);
    expect(scopesOfToken({ ...token, scope: undefined, widened: null })).toEqual([]);
  });

  it('reads scope parameters', () => {
    expect(parseScope(' a  b a ')).toEqual(['a', 'b']);
  });
});
