import { describe, expect, it } from 'vitest';
import { bearerChallenge, parseAuthorization } from './bearer.js';

const resourceMetadata = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';

describe('bearerChallenge', () => {
  it('RS-16: names no error when no credentials came', () => {
    expect(bearerChallenge({ resourceMetadata })).toBe(`Bearer resource_metadata="${resourceMetadata}"`);
  });

  it('RS-13: names error, scope and metadata when the scope does not suffice', () => {
    expect(bearerChallenge({ error: 'insufficient_scope', scopes: ['a', 'b'], resourceMetadata })).toBe(
      `Bearer error="insufficient_scope", scope="a b", resource_metadata="${resourceMetadata}"`,
    );
  });

  it('D7: says nothing of metadata when discovery is off', () => {
    expect(bearerChallenge({ resourceMetadata: null })).toBe('Bearer');
  });

  it('cannot be broken out of by a description', () => {
    expect(bearerChallenge({ error: 'invalid_token', description: 'a"\r\nX: \\b', resourceMetadata: null })).toBe(
      `Bearer error="invalid_token", error_description="a'  X: 'b"`,
    );
  });
});

describe('parseAuthorization', () => {
  it.each([
    ['Bearer abc', { scheme: 'bearer', value: 'abc' }],
    ['bEaReR  abc', { scheme: 'bearer', value: 'abc' }],
    ['DPoP abc', { scheme: 'dpop', value: 'abc' }],
    ['Bearer', null],
    ['Bearer a b', null],
    ['', null],
    [undefined, null],
  ])('D2: reads %j', (header, expected) => {
    expect(parseAuthorization(header)).toEqual(expected);
  });
});
