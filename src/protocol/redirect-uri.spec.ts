import { describe, expect, it } from 'vitest';
import {
  faultOfRedirectUri,
  isLoopback,
  isUsable,
  kindOfRedirectUri,
  placeOfRedirectUri,
  redirectMatches,
  withoutLoopbackPort,
} from './redirect-uri.js';

describe('redirect URIs at registration', () => {
  it.each([
    'https://claude.ai/api/mcp/auth_callback',
    'https://vscode.dev/redirect',
    'https://example.com/cb?tenant=a&x=%20',
    'https://example.com:8443/cb',
    'https://192.0.2.7/cb',
    'https://[2001:db8::1]/cb',
    'http://localhost/callback',
    'http://localhost:33418/',
    'http://127.0.0.1:1234/cb',
    'http://127.0.0.1',
    'http://[::1]:5000/cb',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'vscode://ms-vscode/did-authenticate',
    'com.example.app:/oauth2redirect',
    'made-up-scheme://callback',
  ])('AS-12: accepts %s', (uri) => {
    expect(faultOfRedirectUri(uri)).toBeNull();
  });

  it.each<[unknown, string]>([
    ['', 'empty'],
    [undefined, 'nothing'],
    [7, 'a number'],
    ['/callback', 'relative'],
    ['//evil.example/cb', 'relative to a scheme'],
    ['callback', 'a word'],
    ['https://example.com/cb#fragment', 'a fragment'],
    ['https://example.com/cb#', 'an empty fragment'],
    ['https://user@example.com/cb', 'a user name'],
    ['https://user:pw@example.com/cb', 'a password'],
    ['https://good.example@evil.example/cb', 'a disguised host'],
    ['https://example.com/a/../cb', 'a dot segment'],
    ['https://example.com/a/%2e%2e/cb', 'an encoded dot segment'],
    ['https://example.com/a/.%2E/cb', 'a half encoded dot segment'],
    ['https://example.com/./cb', 'a single dot segment'],
    ['https://example.com/cb\n', 'a line feed'],
    ['https://example.com/\tcb', 'a tab'],
    [' https://example.com/cb', 'a leading blank'],
    ['https://example.com/cb%0d%0aSet-Cookie:x', 'encoded line feeds'],
    ['https://example.com/%00', 'an encoded NUL'],
    ['https://example.com/%zz', 'a broken encoding'],
    ['https://*.example.com/cb', 'a wildcard host'],
    ['https://example.com/*', 'a wildcard path'],
    ['https://example.com\\@evil.example/cb', 'a backslash'],
    ['https://example.com/%5c..', 'an encoded backslash'],
    ['https://exämple.com/cb', 'a non-ASCII host'],
    ['https://ex%61mple.com/cb', 'an encoded host'],
    ['https://0x7f.1/cb', 'a hexadecimal address'],
    ['https://2130706433/cb', 'a decimal address'],
    ['https://0177.0.0.1/cb', 'an octal address'],
    ['https://127.1/cb', 'a short address'],
    ['https://example..com/cb', 'an empty label'],
    ['https://[::1%25lo]/cb', 'a zone id'],
    ['https://[not-v6]/cb', 'a broken IPv6 address'],
    ['https:///cb', 'no host'],
    ['https:example.com/cb', 'no slashes'],
    ['https:/example.com/cb', 'one slash'],
    ['https://example.com:0/cb', 'port zero'],
    ['https://example.com:99999/cb', 'a port out of range'],
    ['https://example.com:/cb', 'an empty port'],
    ['https://example.com:80a/cb', 'a port with letters'],
    ['https://example.com/cb?code=x', 'a response parameter'],
    ['https://example.com/cb?a=b&st%61te=x', 'an encoded response parameter'],
    ['https://example.com/cb?iss=x', 'iss'],
    ['http://example.com/cb', 'http off loopback'],
    ['http://localhost.evil.example/cb', 'a host that begins like loopback'],
    ['http://127.0.0.1.evil.example/cb', 'a host that begins like an address'],
    ['http://127.0.0.2/cb', 'another loopback address'],
    ['http://0.0.0.0/cb', 'the unspecified address'],
    ['http://localhost:80@evil.example/cb', 'a disguised loopback host'],
    ['javascript:alert(1)', 'javascript'],
    ['JaVaScRiPt:alert(1)', 'javascript in another spelling'],
    ['java\tscript:alert(1)', 'javascript with a tab'],
    ['data:text/html,x', 'data'],
    ['vbscript:x', 'vbscript'],
    ['file:///etc/passwd', 'file'],
    ['blob:https://example.com/x', 'blob'],
    ['view-source:https://example.com', 'view-source'],
    ['cursor:', 'a scheme alone'],
    ['app://user@host/cb', 'a user name behind a private scheme'],
    ['<script>://x', 'markup'],
    [`https://example.com/${'a'.repeat(2100)}`, 'more than 2 KiB'],
  ])('sec-2: refuses %s (%s)', (uri) => {
    expect(faultOfRedirectUri(uri)).not.toBeNull();
  });
});

describe('redirect URIs at /authorize', () => {
  const registered = [
    'https://example.com/cb?tenant=a',
    'http://localhost/callback',
    'http://127.0.0.1:33418/',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ];

  it.each([
    ['https://example.com/cb?tenant=a', true],
    ['https://example.com/cb?tenant=b', false],
    ['https://example.com/cb', false],
    ['https://EXAMPLE.com/cb?tenant=a', false],
    ['https://example.com:443/cb?tenant=a', false],
    ['https://example.com/cb%3Ftenant=a', false],
    ['http://localhost/callback', true],
    ['http://localhost:51234/callback', true],
    ['http://localhost:51234/callback/', false],
    ['http://localhost:51234/callback?x=1', false],
    ['http://127.0.0.1:51234/callback', false],
    ['https://localhost:51234/callback', false],
    ['http://localhost:0/callback', false],
    ['http://localhost:99999/callback', false],
    ['http://localhost:51234@evil.example/callback', false],
    ['http://localhost.evil.example:51234/callback', false],
    ['http://127.0.0.1:9999/', true],
    ['http://127.0.0.1/', true],
    ['http://127.0.0.1', false],
    ['http://[::1]:9999/', false],
    ['cursor://anysphere.cursor-mcp/oauth/callback', true],
    ['cursor://anysphere.cursor-mcp/oauth/callback2', false],
    ['cursor://anysphere.cursor-mcp:99/oauth/callback', false],
  ])('A1, AS-13, sec-1: %s → %s', (asked, expected) => {
    expect(redirectMatches(registered, asked)).toBe(expected);
  });

  it('R1: an unfamiliar scheme is usable only for a client that an administrator approved', () => {
    expect(isUsable('cursor://x/cb', { trusted: false })).toBe(true);
    expect(isUsable('made-up://x/cb', { trusted: false })).toBe(false);
    expect(isUsable('made-up://x/cb', { trusted: true })).toBe(true);
    expect(isUsable('https://x.example/cb', { trusted: false })).toBe(true);
  });

  it('tells the kinds and the place apart', () => {
    expect(kindOfRedirectUri('https://a.example/')).toBe('https');
    expect(kindOfRedirectUri('http://localhost/')).toBe('loopback');
    expect(kindOfRedirectUri('cursor://x/')).toBe('native');
    expect(placeOfRedirectUri('https://a.example:8443/cb')).toBe('a.example');
    expect(placeOfRedirectUri('cursor://anysphere/cb')).toBe('cursor:');
    expect(isLoopback('http://LOCALHOST:1/')).toBe(true);
    expect(withoutLoopbackPort('http://[::1]:9/cb?x=1')).toBe('http://[::1]/cb?x=1');
    expect(withoutLoopbackPort('https://a.example:9/cb')).toBe('https://a.example:9/cb');
  });

  it('sec-1: no change of a single character of a registered https URI matches', () => {
    const [uri = ''] = registered;
    for (let i = 0; i < uri.length; i++)
      for (const character of ['a', 'A', '.', '/', '%', '@', ':', '0'])
        if (uri[i] !== character)
          expect(redirectMatches(registered, uri.slice(0, i) + character + uri.slice(i + 1))).toBe(false);
  });
});
