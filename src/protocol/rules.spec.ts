import { describe, expect, it } from 'vitest';
import { admits, parseRule, type Rule, type RuleSubject } from './rules.js';

const ohad: RuleSubject = {
  email: 'Ohad@Example.com',
  organizations: ['acme'],
  teams: ['acme/core'],
  claims: { hd: 'Example.com', org_id: 'org_1', groups: ['mcp', 'dev'], level: 3, admin: true, nothing: null },
};
const nobody: RuleSubject = { claims: {} };

describe('allow rules', () => {
  it.each([
    ['*', true],
    ['email:ohad@example.com', true],
    ['email:other@example.com', false],
    ['domain:example.com', true],
    ['domain:ample.com', false],
    ['github-org:ACME', true],
    ['github-org:acm', false],
    ['github-team:acme/core', true],
    ['github-team:acme/web', false],
    ['google-domain:example.com', true],
    ['google-domain:other.com', false],
    ['workos-org:org_1', true],
    ['workos-org:ORG_1', false],
    ['claim:groups=mcp', true],
    ['claim:groups=mc', false],
    ['claim:level=3', true],
    ['claim:admin=true', true],
    ['claim:nothing=null', false],
    ['claim:absent=undefined', false],
  ])('%s admits a matching person: %s', (text, expected) => {
    expect(admits(parseRule(text) as Rule, ohad)).toBe(expected);
  });

  it.each([
    'email:a@b.c',
    'domain:b.c',
    'github-org:o',
    'github-team:o/t',
    'google-domain:b.c',
    'workos-org:org_1',
    'claim:x=y',
    'claim:x=undefined',
  ])('sec-18: %s never admits somebody of whom nothing is known', (text) => {
    expect(admits(parseRule(text) as Rule, nobody)).toBe(false);
  });

  it.each([
    '',
    'email:',
    'email:no-at',
    'domain:a@b.c',
    'github-team:acme',
    'claim:groups',
    'claim:=x',
    'claim:x=',
    'gitlab-org:x',
    'acme',
  ])('refuses %j and says why', (text) => {
    expect(parseRule(text)).toBeTypeOf('string');
  });
});
