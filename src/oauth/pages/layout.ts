import { createHash } from 'node:crypto';
import { html, Html, type Hole } from './html.js';

/** A page ready to be sent. */
export interface Page {
  readonly status: number;
  readonly markup: string;
}

const style = `
:root{color-scheme:light dark;--ground:#f4f5f7;--card:#fff;--ink:#1b1f24;--soft:#59626e;--line:#d5dae1;--accent:#1d4fd7;--on-accent:#fff;--warn-ground:#fff6df;--warn-ink:#6b4700;--warn-line:#e6c677;--bad:#a5231a}
@media (prefers-color-scheme:dark){:root{--ground:#101317;--card:#191e24;--ink:#eceff3;--soft:#a6b0bc;--line:#363f4a;--accent:#8fb1ff;--on-accent:#0b1730;--warn-ground:#33290f;--warn-ink:#f4d99a;--warn-line:#6d571c;--bad:#ff9d94}}
*{box-sizing:border-box}
html{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
body{margin:0;min-height:100vh;background:var(--ground);color:var(--ink);display:flex;flex-direction:column;align-items:center;justify-content:center;padding:24px 16px}
main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:28px}
main.wide{max-width:56rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 8px;overflow-wrap:anywhere}
h2{font-size:1rem;margin:22px 0 6px}
p{margin:0 0 12px;overflow-wrap:anywhere}
.soft{color:var(--soft)}
.small{font-size:.875rem}
.host{font-weight:600;overflow-wrap:anywhere}
ul{margin:0;padding:0;list-style:none}
ul.plain{list-style:disc;padding-left:1.2rem}
ul.plain li{margin:4px 0;overflow-wrap:anywhere}
ul.scopes{border:1px solid var(--line);border-radius:10px}
ul.scopes+p{margin-top:6px}
ul.scopes li{padding:10px 14px;overflow-wrap:anywhere}
ul.scopes li+li{border-top:1px solid var(--line)}
ul.scopes label{display:flex;gap:10px;align-items:flex-start;cursor:pointer}
ul.scopes code{display:block}
input[type=checkbox]{width:1.15rem;height:1.15rem;margin:.2rem 0 0;flex:none;accent-color:var(--accent)}
code{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--soft);overflow-wrap:anywhere}
.warn{background:var(--warn-ground);color:var(--warn-ink);border:1px solid var(--warn-line);border-radius:10px;padding:10px 14px;margin:14px 0}
.warn p:last-child{margin:0}
.actions{display:flex;flex-direction:column;gap:10px;margin-top:22px}
button,a.button{display:block;width:100%;font:inherit;font-weight:600;text-align:center;text-decoration:none;padding:11px 16px;min-height:46px;border-radius:10px;border:1px solid var(--accent);background:var(--accent);color:var(--on-accent);cursor:pointer}
button.quiet,a.button.quiet{background:transparent;color:var(--ink);border-color:var(--line)}
button.bad{background:transparent;color:var(--bad);border-color:var(--bad)}
button:focus-visible,a:focus-visible,input:focus-visible,summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
a{color:var(--accent)}
hr{border:0;border-top:1px solid var(--line);margin:22px 0}
details{margin-top:14px}
summary{cursor:pointer;font-weight:600}
.person{display:flex;gap:12px;align-items:center;border:1px solid var(--line);border-radius:10px;padding:10px 14px;margin:14px 0}
.person p{margin:0}
footer{color:var(--soft);font-size:.8125rem;margin-top:18px;text-align:center}
table{width:100%;border-collapse:collapse;font-size:.9375rem}
th,td{text-align:left;padding:8px 10px 8px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td form{margin:0}
td button,form.inline button{width:auto;min-height:36px;padding:6px 12px;white-space:nowrap}
time{white-space:nowrap}
input[type=text],input[type=number],select{font:inherit;width:100%;padding:9px 12px;min-height:44px;border:1px solid var(--soft);border-radius:10px;background:var(--ground);color:var(--ink)}
label.field{display:block;margin:12px 0;font-weight:600}
label.field input,label.field select{margin-top:4px;font-weight:400}
@media (max-width:40rem){body{padding:0 0 24px;background:var(--card);justify-content:flex-start}main{border:0;border-radius:0;padding:24px 18px 0}main.wide table,main.wide tbody,main.wide tr,main.wide td{display:block}main.wide thead{position:absolute;left:-100vw}main.wide td{border:0;padding:3px 0}main.wide tr{border-bottom:1px solid var(--line);padding:10px 0}}
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/**
 * The headers of every page. No `form-action`: Chromium applies it to the whole redirect chain of a form, so the button would lead nowhere
 * (real-clients C2). No `Cross-Origin-Opener-Policy`: web clients open us in a popup and wait for its `window.opener`, which the header would cut
 * for good. The style is allowed by its hash, scripts by nothing.
 */
export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; frame-ancestors 'none'`,
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
};

/** A whole document: one heading, the body, nothing from elsewhere. `refresh`: seconds until the browser asks again. */
export function page(content: {
  status?: number;
  title: string;
  body: Hole;
  footer?: Hole;
  wide?: boolean;
  refresh?: number;
}): Page {
  const { status = 200, title, body, footer, wide = false, refresh } = content;
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh === undefined ? null : html`<meta http-equiv="refresh" content="${refresh}" />`}
<title>${title} · Gatehouse</title>
<style>${STYLE}</style>
</head>
<body>
<main${wide ? WIDE : null}>
<h1>${title}</h1>
${body}
</main>
${footer ? html`<footer>${footer}</footer>` : null}
</body>
</html>
`;
  return { status, markup: document.text };
}

const STYLE = new Html(style);
const WIDE = new Html(' class="wide"');
