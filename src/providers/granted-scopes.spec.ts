import { describe, expect, it } from 'vitest';
import { testHouse } from '../testing/house.js';
import type { LoginProvider } from './contract.js';
import { github } from './github/github.provider.js';
import { google } from './google/google.provider.js';
import { notGranted } from './granted-scopes.js';
import { oidc } from './oidc/oidc.provider.js';

const credentials = { clientId: 'a', clientSecret: 'b' };
const house = testHouse();
const atGitHub = github.definition.create('github', github.definition.settings.parse(credentials), house);
const atGoogle = google.definition.create('google', google.definition.settings.parse(credentials), house);
const atEntra = oidc.definition.create(
  'oidc',
  oidc.definition.settings.parse({ ...credentials, issuer: 'https://login.microsoftonline.com/acme/v2.0' }),
  house,
);

describe('what an upstream granted', () => {
  it.each([
    ['GitHub folds narrower scopes into wider ones', atGitHub, ['repo', 'user'], ['public_repo', 'user:email'], []],
    ['through every step', atGitHub, ['admin:org'], ['read:org', 'write:org'], []],
    ['never the other way', atGitHub, ['public_repo', 'read:org'], ['repo', 'write:org'], ['repo', 'write:org']],
    ['one thing is not another', atGitHub, ['admin:org'], ['read:packages'], ['read:packages']],
    [
      'Google answers by address',
      atGoogle,
      ['https://www.googleapis.com/auth/userinfo.email'],
      ['email', 'profile'],
      ['profile'],
    ],
    ['Entra ID names the resource', atEntra, ['https://graph.microsoft.com/Mail.Read'], ['Mail.Read', 'X'], ['X']],
    ['what permits nothing is not missed', atEntra, [], ['openid', 'offline_access', 'files'], ['files']],
  ])('%s', (_, provider, granted, needed, missing) => {
    expect(notGranted(provider as LoginProvider, granted, needed)).toEqual(missing);
  });
});
