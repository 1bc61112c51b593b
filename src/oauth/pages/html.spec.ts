import { describe, expect, it } from 'vitest';
import { unknownClientPage } from './client-refused.page.js';
import { errorPage, returnPage } from './error.page.js';
import { html } from './html.js';
import { pageHeaders } from './layout.js';
import { signInPage, type SignInFacts } from './sign-in.page.js';

const HOSTILE = `<script>alert(1)</script>"'&`;

const facts: SignInFacts = {
  client: { name: HOSTILE, documentHost: null, returnsTo: 'localhost', loopback: true, vouched: false },
  scopes: [
    { name: 'mcp', words: 'Use the tools', optional: false },
    { name: 'repo:read', words: HOSTILE, optional: true },
  ],
  providers: [
    { id: 'google', label: 'Google' },
    { id: 'corp-hub', label: 'Corp <Hub>' },
  ],
  upstream: [],
  person: null,
  csrf: 'token',
  publicHost: 'mcp.example.com',
};

describe('pages', () => {
  it('sec-17: every value is escaped, in content and in attributes', () => {
    expect(html`<a title="${HOSTILE}">${HOSTILE}</a>`.text).toBe(
      '<a title="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;">&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;</a>',
    );
    const { markup } = signInPage(facts);
    expect(markup).not.toContain('<script');
    expect(markup).toContain('Corp &lt;Hub&gt;');
  });

  it('sec-17: characters that disguise a name are dropped', () => {
    expect(html`${'a\u202Egpj.exe\u0007\u0000b'}`.text).toBe('agpj.exeb');
  });

  it('sec-17: no form-action, no scripts, no frames, nothing cached', () => {
    const policy = pageHeaders['Content-Security-Policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("base-uri 'none'");
    expect(policy).not.toContain('form-action');
    expect(policy).not.toContain('script-src');
    expect(policy).not.toContain('unsafe');
    expect(pageHeaders).toMatchObject({
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    });
  });

  it('sec-10: the page names client, host and scopes, and has a button for each provider in the operator’s order', () => {
    const { markup } = signInPage({ ...facts, client: { ...facts.client, name: 'Inspector' } });
    expect(markup).toContain('Inspector');
    expect(markup).toContain('localhost');
    expect(markup).toContain('Use the tools');
    expect(markup.indexOf('value="google"')).toBeGreaterThan(0);
    expect(markup.indexOf('value="google"')).toBeLessThan(markup.indexOf('value="corp-hub"'));
    expect(markup).toContain('on this computer');
    expect(markup).toContain('Nobody has checked this application');
  });

  it('C4: a signed-in person presses one button, or says “not me”', () => {
    const { markup } = signInPage({ ...facts, person: { name: 'Mona', account: 'mona@example.com' } });
    expect(markup).toContain('value="approve"');
    expect(markup).toContain('Mona');
    expect(markup).toContain('Not Mona?');
  });

  it('C1: a metadata document names its host, and the warning says what it does not prove', () => {
    const { markup } = signInPage({
      ...facts,
      client: { ...facts.client, name: 'Claude Code', documentHost: 'claude.ai' },
    });
    expect(markup).toContain('claude.ai');
    expect(markup).toContain('Any program on this computer can claim to be “Claude Code”');
    expect(markup).not.toContain('Nobody has checked');
  });

  it('a popup keeps its opener: no Cross-Origin-Opener-Policy', () => {
    expect(Object.keys(pageHeaders).map((name) => name.toLowerCase())).not.toContain('cross-origin-opener-policy');
  });

  it('a vouched application off this computer carries no warning', () => {
    const { markup } = signInPage({ ...facts, client: { ...facts.client, loopback: false, vouched: true } });
    expect(markup).not.toContain('role="note"');
  });

  it('U5: an error page says what happened, what to do, and the reference', () => {
    const { status, markup } = errorPage({ title: 'T', what: 'W', remedy: 'D', reference: 'abc123' });
    expect(status).toBe(400);
    for (const part of ['T', 'W', 'D', 'abc123']) expect(markup).toContain(part);
  });

  it('R3: the page for an unknown client says how to reset each known client', () => {
    const { status, markup } = unknownClientPage('ref');
    expect(status).toBe(400);
    for (const name of ['Claude Code', 'Cursor', 'VS Code', 'Codex', 'mcp-remote']) expect(markup).toContain(name);
  });

  it('sec-9: an error for an unvouched client waits behind a button', () => {
    const returnTo = new URL('https://evil.example/cb?error=invalid_scope&state=x');
    const { markup } = returnPage({ what: 'W', returnTo, reference: 'r' });
    expect(markup).toContain('href="https://evil.example/cb?error=invalid_scope&amp;state=x"');
    expect(markup).toContain('evil.example');
  });
});
