import { expect, it } from 'vitest';
import { openBrowser, openerOf } from './open-browser.js';

const url = new URL('https://idp.example/authorize?a=1&b=2');

it.each<[NodeJS.Platform, Record<string, string>, string, readonly string[]]>([
  ['linux', {}, 'xdg-open', [url.href]],
  ['darwin', {}, 'open', [url.href]],
  ['win32', {}, 'rundll32', ['url.dll,FileProtocolHandler', url.href]],
  ['linux', { BROWSER: 'firefox:chromium' }, 'firefox', [url.href]],
  ['linux', { BROWSER: 'firefox -P work %s' }, 'firefox', ['-P', 'work', url.href]],
  ['linux', { BROWSER: '' }, 'xdg-open', [url.href]],
  ['win32', { BROWSER: 'C:\\ff.exe' }, 'C:\\ff.exe', [url.href]],
])('on %s with %j', (platform, env, command, args) => {
  expect(openerOf(url, env, platform)).toEqual({ command, args });
});

it('says when there is nothing to open a page with', async () => {
  expect(await openBrowser(url, { BROWSER: '/nowhere/at/all' })).toBe(false);
});
