import { expect, it } from 'vitest';
import { ScopeCatalogue } from './scope-catalogue.js';

it('RS-15: a scope covers what it implies, transitively, and cycles end', () => {
  const scopes = new ScopeCatalogue();
  scopes.declare({ name: 'repo', words: 'Your repositories', implies: ['repo:write'] });
  scopes.declare({ name: 'repo:write', words: 'Change your repositories', implies: ['repo:read', 'repo'] });
  scopes.declare({ name: 'repo:read', words: 'Read your repositories' });
  expect(scopes.missing(['repo'], ['repo:read', 'repo:write'])).toEqual([]);
  expect(scopes.missing(['repo:read'], ['repo:read', 'mail'])).toEqual(['mail']);
  expect(scopes.missing([], ['repo:read'])).toEqual(['repo:read']);
});

it('a name may be declared again, but not with other words', () => {
  const scopes = new ScopeCatalogue();
  scopes.declare({ name: 'mail', words: 'mail' });
  scopes.declare({ name: 'mail', words: 'Read your mail' });
  scopes.declare({ name: 'mail', words: 'mail' });
  expect(scopes.words('mail')).toBe('Read your mail');
  expect(() => scopes.declare({ name: 'mail', words: 'Send mail' })).toThrow('declared twice');
});
