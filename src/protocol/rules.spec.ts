import { describe, expect, it } from 'vitest';
import { admits, findingOf, parseRule, type Rule, type RuleSubject } from './rules.js';

const ohad: Omit<RuleSubject, 'kind'> = {
  email: 'Ohad@Example.com',
  organizations: ['acme'],
  teams: ['acme/core'],
  claims: { hd: 'Example.com', org_id: 'org_1', groups: ['mcp', 'dev'], level: 3, admin: true, nothing: null },
};
const nobody: Omit<RuleSubject, 'kind'> = { claims: {} };
const KINDS = ['github', 'google', 'workos', 'oidc', 'own-kind'];

describe('allow rules', () => {
  it.each([
    ['*', KINDS],
    ['email:ohad@example.com', KINDS],
    ['email:other@example.com', []],
    ['domain:example.com', KINDS],
    ['domain:ample.com', []],
    ['github-org:ACME', ['github']],
    ['github-org:acm', []],
    ['github-team:acme/core', ['github']],
    ['github-team:acme/web', []],
    ['google-domain:example.com', ['google']],
    ['google-domain:other.com', []],
    ['workos-org:org_1', ['workos']],
    ['workos-org:ORG_1', []],
    ['claim:groups=mcp', KINDS],
    ['claim:groups=mc', []],
    ['claim:level=3', KINDS],
    ['claim:admin=true', KINDS],
    ['claim:nothing=null', []],
    ['claim:absent=undefined', []],
  ])('sec-8: %s admits a matching person of the kinds %j only', (text, kinds) => {
    expect(KINDS.filter((kind) => admits(parseRule(text) as Rule, { kind, ...ohad }))).toEqual(kinds);
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
    expect(KINDS.some((kind) => admits(parseRule(text) as Rule, { kind, ...nobody }))).toBe(false);
  });

  it.each([
    ['claim:groups=mcp', { claims: { groups: ['mcp'] } }, 'now'],
    ['claim:groups=mcp', { claims: {}, earlier: { claims: { groups: ['mcp'] } } }, 'earlier'],
    ['claim:groups=mcp', { claims: {}, earlier: { claims: { groups: [] } } }, 'no'],
    ['claim:groups=mcp', { claims: {} }, 'no'],
    ['email:a@b.c', { claims: {}, email: 'other@b.c', earlier: { email: 'a@b.c', claims: {} } }, 'earlier'],
    ['workos-org:org_1', { claims: {}, earlier: { claims: { org_id: 'org_1' } } }, 'no'],
    ['*', { claims: {} }, 'now'],
  ] as const)('%s of %j: found %s', (text, facts, finding) => {
    expect(findingOf([parseRule(text) as Rule], { kind: 'oidc', ...facts })).toBe(finding);
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
